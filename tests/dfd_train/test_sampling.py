"""Which frames, pairs and batches: against the thesis's formulas, worked out here in exact fractions."""

import tracemalloc
from collections import Counter
from fractions import Fraction
from math import floor

import numpy as np
import pandas as pd
import pytest

from dfd_train.data.batches import plan_epoch, plan_evaluation
from dfd_train.data.selection import (
    Count,
    make_pairs,
    select_videos,
    shuffle_labels,
    usable_by_split,
)
from dfd_train.errors import UserError
from dfd_train.settings.config import DataConfig
from ffpp_prep.format.frames import benchmark_frames, dual_frames, evaluation_frames, various_frame
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.format.untouched import untouched_frames

LENGTHS = [*range(1, 130), 300, 450, 1000]


@pytest.mark.parametrize("total_epochs", [1, 14, 30, 50])
def test_various_frames(total_epochs):
    n = 8
    for length in LENGTHS:
        for epoch in range(1, total_epochs + 1):
            frame, substituted = various_frame(epoch, length, total_epochs, n)
            if length > total_epochs:
                exact = (n * epoch) % (length - total_epochs) + floor(Fraction(n * epoch, length))
                assert frame == min(exact, length - 1)
                assert substituted == (exact >= length)
            else:
                assert frame == min(floor(Fraction(n * epoch, length)), length - 1)
                assert substituted == 1


def test_various_frames_worked_out_by_hand():
    # 50 epochs, 300 frames: 8·1 = 8; 8·31 = 248; 8·32 = 256 ≡ 6 (mod 250); 8·40 = 320 ≡ 70, plus ⌊320/300⌋ = 1
    assert [various_frame(epoch, 300, 50)[0] for epoch in (1, 31, 32, 40)] == [8, 248, 6, 71]


@pytest.mark.parametrize("total_epochs", [1, 30])
@pytest.mark.parametrize("count", [1, 6, 12])
def test_dual_frames(total_epochs, count):
    for length in LENGTHS:
        step = floor(Fraction(length - total_epochs, count))
        for epoch in (1, total_epochs):
            frames, substituted = dual_frames(epoch, length, total_epochs, count)
            assert len(frames) == count
            if step >= 1:
                assert frames == list(range(epoch, epoch + count * step, step))
                assert frames[-1] < length and substituted == 0
            else:
                assert frames == [min(epoch + i, length - 1) for i in range(count)]
                assert substituted == count


@pytest.mark.parametrize("count", [1, 7, 12, 32])
def test_evaluation_frames(count):
    for length in LENGTHS:
        frames, substituted = evaluation_frames(length, count)
        assert len(frames) == count and min(frames) >= 0 and frames[-1] < length
        if length >= 10 + count:
            step = floor(Fraction(length - 10, count))
            assert frames == [10 + i * step for i in range(count)] and substituted == 0
        else:
            assert (
                frames == [floor(Fraction(i * length, count)) for i in range(count)] and substituted == count
            )


@pytest.mark.parametrize("count", [2, 32])
def test_benchmark_frames(count):
    for length in LENGTHS:
        frames, substituted = benchmark_frames(length, count)
        assert frames == sorted(set(np.linspace(0, length - 1, count, endpoint=True, dtype=int).tolist()))
        assert substituted == 0


def test_a_video_without_frames_is_refused():
    with pytest.raises(ValueError, match="length=0: a video has at least one frame"):
        various_frame(1, 0, 50)


@pytest.fixture(scope="module")
def videos(small_set):
    return load_prepared(small_set.work).videos


@pytest.fixture(scope="module")
def train(videos):
    return select_videos(videos, "train").videos


def plan(config, train, epoch=1, total_epochs=5, seed=0):
    return plan_epoch(config, train, make_pairs(train)[0], epoch=epoch, total_epochs=total_epochs, seed=seed)


def test_various_batches_are_balanced_pairs_and_hold_every_pair_once(train):
    batches = plan(DataConfig(batch_size=4), train).batches
    assert [len(batch) for batch in batches] == [4, 4, 4]
    shown = Counter()
    for batch in batches:
        for fake, real in zip(batch[::2], batch[1::2], strict=True):
            assert (fake.label, real.label) == (1, 0)
            assert train.at[fake.video, "original_id"] == train.at[real.video, "video_id"]
            for sample in (fake, real):
                length = train.at[sample.video, "frames_decoded"]
                assert sample.frame == various_frame(1, length, 5)[0]
            shown[train.at[fake.video, "video_id"]] += 1
    assert shown == Counter(train.loc[train["label"] == 1, "video_id"])


def test_the_last_batch_is_not_dropped(train):
    assert [len(batch) for batch in plan(DataConfig(batch_size=8), train).batches] == [8, 4]


def test_dual_batches_are_one_pair_fakes_first(train):
    batches = plan(DataConfig(batches="dual", batch_size=6), train, epoch=2).batches
    assert len(batches) == 6
    for batch in batches:
        assert [sample.label for sample in batch] == [1, 1, 1, 0, 0, 0]
        for half in (batch[:3], batch[3:]):
            assert len({sample.video for sample in half}) == 1
            length = train.at[half[0].video, "frames_decoded"]
            assert [sample.frame for sample in half] == dual_frames(2, length, 5, 3)[0]
        assert train.at[batch[0].video, "original_id"] == train.at[batch[3].video, "video_id"]


def test_shuffled_batches_hold_different_frames_of_every_video(train):
    batches = plan(DataConfig(batches="shuffled", batch_size=6, train_frames=4), train).batches
    samples = [sample for batch in batches for sample in batch]
    assert len(samples) == 4 * len(train) == len({(s.video, s.frame) for s in samples})
    assert [s.video for s in samples] != sorted(s.video for s in samples)
    everything = plan(DataConfig(batches="shuffled", batch_size=6, train_frames=0), train)
    assert sum(map(len, everything.batches)) == train["frames_decoded"].sum()


def test_even_shuffled_frames_are_the_same_in_each_epoch_as_deepfakebench_stores_them(train):
    config = DataConfig(batches="shuffled", batch_size=6, train_frames=4, train_choice="even")
    first, second = (plan(config, train, epoch=epoch).batches.samples for epoch in (1, 2))
    spots = {(one.video, one.frame) for one in first}
    lengths = train["frames_decoded"]
    assert spots == {(row, frame) for row in train.index for frame in benchmark_frames(lengths[row], 4)[0]}
    assert spots == {(one.video, one.frame) for one in second}
    assert [one[:2] for one in first] != [one[:2] for one in second], "in another order"


def test_an_epoch_of_all_frames_takes_few_bytes_a_sample_and_is_drawn_as_ever():
    count, length = 1000, 300
    videos = pd.DataFrame({"label": np.arange(count) % 5 > 0, "frames_decoded": length})
    config = DataConfig(batches="shuffled", train_frames=0)
    tracemalloc.start()
    spots = plan_epoch(config, videos, [], epoch=1, total_epochs=5, seed=0).batches.spots
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * count * length
    random = np.random.default_rng([0, 1])  # a run that is resumed must see the order that it began with
    for _ in range(count):
        random.choice(length, length, replace=False)
    every = np.stack([np.repeat(np.arange(count), length), np.tile(np.arange(length), count)], axis=1)
    assert np.array_equal(spots, every[random.permutation(count * length)])


@pytest.mark.parametrize("kind", ["various", "dual", "shuffled"])
def test_a_plan_is_a_function_of_seed_and_epoch(kind, train):
    config = DataConfig(batches=kind, batch_size=4)
    assert plan(config, train) == plan(config, train)
    assert plan(config, train, seed=1).batches != plan(config, train).batches
    assert plan(config, train, epoch=2).batches != plan(config, train).batches
    positions = [sample.position for batch in plan(config, train).batches for sample in batch]
    assert positions == list(range(len(positions)))


def test_substitutions_are_counted(train):
    assert plan(DataConfig(batch_size=4), train, total_epochs=5).substitutions == 0
    assert plan(DataConfig(batch_size=4), train, total_epochs=60).substitutions == 12
    assert plan_evaluation(train, 7, 24).substitutions == 0
    short = train.assign(frames_decoded=12)
    assert plan_evaluation(short, 7, 24).substitutions == 7 * len(short)


def test_evaluation_shows_every_video(train):
    batches = plan_evaluation(train, 7, 24).batches
    shown = Counter(sample.video for batch in batches for sample in batch)
    assert shown == Counter({row: 7 for row in train.index})


def test_videos_are_left_out_for_a_reason_and_counted(videos):
    edited = videos.copy()
    train_rows = edited.index[edited["split"] == "train"]
    edited.loc[train_rows[0], "multiple_faces"] = True
    edited.loc[train_rows[1], "status"] = "no_face"
    edited.loc[train_rows[2], ["status", "frames_decoded"]] = ["open_failed", 0]
    edited.loc[train_rows[3], "status"] = "partial"
    thesis = select_videos(edited, "train")
    assert thesis.left_out == (Count("multiple faces", 1), Count("no face", 1), Count("open failed", 1))
    assert len(thesis.videos) == len(train_rows) - 3
    kept = select_videos(edited, "train", multiple_faces="keep")
    assert kept.left_out == (Count("no face", 1), Count("open failed", 1))
    without = select_videos(edited, "train", exclude_methods=["Deepfakes"])
    assert set(without.videos["method"]) == {"original_sequences", "NeuralTextures"}
    with pytest.raises(ValueError, match="exclude_methods names FaceShop; the data has Deepfakes"):
        select_videos(edited, "train", exclude_methods=["FaceShop"])
    with pytest.raises(ValueError, match="no usable video in split 'train': 9 timeout"):
        select_videos(edited.assign(status="timeout"), "train")
    with pytest.raises(ValueError, match="split is 'valid'; allowed: train, val, test"):
        select_videos(edited, "valid")


def test_fakes_that_are_altered_behind_their_last_frame_are_left_out_of_training(videos):
    edited = videos.assign(fake_segments=None, fps=25.0)
    fake = edited.index[(edited["split"] == "train") & (edited["label"] == 1)][0]
    edited.loc[fake, "fake_segments"] = "70-90"
    assert select_videos(edited, "train").left_out == (Count("no frame in fake_segments", 1),)
    assert (
        fake in select_videos(edited.assign(split="val"), "val").videos.index
    )  # evaluation sees whole films


def test_fakes_without_a_usable_original_are_counted(train):
    originals = train.index[train["label"] == 0]
    pairs, unpaired = make_pairs(train.drop(index=originals[0]))
    assert (len(pairs), unpaired) == (4, 2)
    with pytest.raises(ValueError, match="no fake has its original"):
        make_pairs(train[train["label"] == 1])


def test_an_empty_split_names_what_would_take_its_videos(videos):
    several = videos.assign(multiple_faces=videos["multiple_faces"] | (videos["split"] == "test"))
    number = int((videos["split"] == "test").sum())
    with pytest.raises(UserError, match=f"split 'test': {number} multiple faces; --multiple-faces keep"):
        select_videos(several, "test")
    line = usable_by_split(several, "drop", ())
    assert (
        line.startswith("usable videos: train ")
        and f"test none (no usable video in split 'test': {number}" in line
    )
    assert "test none" not in usable_by_split(several, "keep", ())


def test_shuffled_labels_keep_their_number_and_leave_test_alone(videos):
    many = pd.concat(
        [videos.assign(video_id=videos["video_id"] + str(i)) for i in range(10)], ignore_index=True
    )
    shuffled = shuffle_labels(many, seed=3)
    for split in ("train", "val", "test"):
        before, after = (table.loc[table["split"] == split, "label"] for table in (many, shuffled))
        assert before.sum() == after.sum()
        assert (before == after).all() == (split == "test")
        if split != "test":  # no more often right than any other labels
            fakes, reals = after[before == 1], after[before == 0]
            assert abs(fakes.mean() - reals.mean()) <= 1 / len(fakes) + 1 / len(reals)
    assert shuffled.equals(shuffle_labels(many, seed=3)) and not shuffled.equals(shuffle_labels(many, seed=4))


@pytest.mark.parametrize("kind", ["various", "dual", "shuffled"])
def test_untouched_frames_are_left_out_balanced_and_counted(kind, train):
    config = DataConfig(batches=kind, batch_size=6, train_frames=4)
    before = [s for batch in plan(config, train).batches for s in batch]
    gone = frozenset((s.video, s.frame) for s in before if s.label == 1)
    gone = frozenset(sorted(gone)[::3])
    pairs = make_pairs(train)[0]
    found = plan_epoch(config, train, pairs, epoch=1, total_epochs=5, seed=0, untouched=gone)
    after = [s for batch in found.batches for s in batch]
    assert found.untouched == len(gone) > 0
    assert not any((s.video, s.frame) in gone for s in after)
    assert len(after) == len(before) - (1 if kind == "shuffled" else 2) * len(gone)
    if kind != "shuffled":
        assert all(sum(s.label for s in batch) * 2 == len(batch) for batch in found.batches)


def test_untouched_frames_are_read_from_the_newest_part(small_set, tmp_path):
    rows = load_prepared(small_set.work).rows
    (tmp_path / "fakes").mkdir()
    with pytest.raises(FileNotFoundError, match="run  ffpp-prep check-fakes"):
        untouched_frames(tmp_path, rows)
    for part, touched in (("00000", [True, False, False, False]), ("00001", [True, True, False, True])):
        video = "manipulated_sequences/Deepfakes/c23/videos/000_000.mp4"
        table = pd.DataFrame(
            {"video_id": [video] * 3 + ["gone.mp4"], "frame": [3, 4, 5, 5], "face": 0, "touched": touched}
        )
        table.to_parquet(tmp_path / f"fakes/fakes-{part}.parquet")
        pd.DataFrame({"video_id": [video]}).to_parquet(tmp_path / f"fakes/videos-{part}.parquet")
    assert untouched_frames(tmp_path, rows) == {(rows.get_loc(video), 5)}
    for path in (tmp_path / "fakes").glob("fakes-*.parquet"):
        pd.read_parquet(path).assign(touched=True).to_parquet(path)
    assert untouched_frames(tmp_path, rows) == frozenset()
