"""The manipulated face of several: two people side by side, of whom the smaller one is the fake."""

import logging
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import decode, encode, here, one_process, talking_head
from test_check_fakes import swapped

from dfd_train.cli import main
from dfd_train.data.batches import plan_epoch, plan_evaluation
from dfd_train.data.selection import make_pairs, only_real, select_videos
from dfd_train.data.several import places_of, with_places
from dfd_train.engine.data import describe_data, open_data
from dfd_train.report.compare import compare_runs
from dfd_train.runs.predictions import read_predictions
from dfd_train.settings.config import DataConfig, build_config
from ffpp_prep.format import load_prepared
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.touched import TouchedFaces, touched_faces
from ffpp_prep.one_video.fakes import FakeCheck, check_fake
from ffpp_prep.one_video.marks import TouchedTracks, by_difference, by_mask
from ffpp_prep.sample.encode import encode as encode_sample
from ffpp_prep.settings import FakeSettings
from ffpp_prep.stages.fakes import check_fakes
from ffpp_prep.work.fakes import FakeStore
from ffpp_prep.work.status import status_text
from ffpp_prep.work.store import BoxStore

FRAMES = 12
NETWORK = "tiny_networks:with_batch_norm"
SMALL = 352  # where the smaller person's half begins
VIDEOS = ("real_0", "fake_0", "real_1", "fake_1", "masked_1")


def side_by_side(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """A person twice as large on the left, one on the right, 528 x 288."""
    right = np.pad(small, ((72, 72), (0, 0), (0, 0)), mode="edge")
    return np.hstack([large.repeat(2, axis=0).repeat(2, axis=1), right])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WORK of two originals and their fakes, of which the last one's mask says that the larger face is touched."""
    root, head = tmp_path_factory.mktemp("touched"), decode(talking_head())
    for take in range(2):
        large, small = head[12 * take : 12 * take + FRAMES], head[30 + 12 * take : 30 + 12 * take + FRAMES]
        real = [side_by_side(a, b) for a, b in zip(large, small, strict=True)]
        encode(root / f"real_{take}.mp4", real)
        fake = [side_by_side(a, swapped(b)) for a, b in zip(large, small, strict=True)]
        encode(root / f"fake_{take}.mp4", fake)
    encode(root / "masked_1.mp4", fake)
    mask = np.zeros((FRAMES, 288, 528), np.uint8)
    mask[2:, 80:190, 110:200] = 255
    encode_sample(root / "mask.mp4", mask, lossless=True)
    lines = ["path,label,method,original_id,split"]
    lines += [
        f"{name}.mp4,{int(name[:4] != 'real')},{'' if name[:4] == 'real' else 'swap'},"
        f"{'' if name[:4] == 'real' else f'real_{name[-1]}.mp4'},{('train', 'val')[int(name[-1])]}"
        for name in VIDEOS
    ]
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    work = root / "work"
    assert here("scan", root / "t.csv", "-o", work).returncode == 0
    scan = pq.read_table(work / "videos.parquet")
    place = scan.schema.get_field_index("mask_path")
    masks = [str(root / "mask.mp4") if v == "masked_1.mp4" else None for v in scan["video_id"].to_pylist()]
    masks = pa.array(masks, pa.string())
    pq.write_table(scan.set_column(place, scan.schema.field(place), masks), work / "videos.parquet")
    assert here("boxes", work, "--boxes-from-original", "--detect-every", 6).returncode == 0
    return work


@pytest.fixture(scope="module")
def checked(work: Path) -> Path:
    done = here("check-fakes", work)
    assert done.returncode == 0, done.stderr
    assert (
        "the manipulated face is known in 3 of 3 fakes of several faces, in 1 of them by the mask"
        in done.stdout
    )
    return work


def centre(work: Path, video_id: str, frame: int, face: int) -> float:
    prepared = load_prepared(work)
    box = prepared.box_at(prepared.row(video_id), frame, face)
    assert box is not None
    return (box.x1 + box.x2) / 2


def test_the_smaller_face_is_marked_and_shown_and_the_originals_in_its_place(checked: Path) -> None:
    prepared = load_prepared(checked)
    assert prepared.videos["multiple_faces"].all()
    config = DataConfig(work=str(checked), multiple_faces="touched", val_frames=5)
    shown = {}
    for several in ("keep", "touched"):
        train = select_videos(with_places(prepared, several), "train", multiple_faces=several).videos
        pairs, _ = make_pairs(train)
        plan = plan_epoch(config, train, pairs, epoch=1, total_epochs=5, seed=0)
        shown[several] = plan.batches.samples
        assert {sample.label for sample in plan.batches.samples} == {0, 1}
    ids = prepared.videos["video_id"]
    for several, right in (("keep", False), ("touched", True)):
        for one in shown[several]:
            assert (centre(checked, ids[one.video], one.frame, one.face) > SMALL) == right
    (fake,) = [one for one in shown["touched"] if one.label]
    crop = prepared.read_crop_at(fake.video, fake.frame, fake.face)
    assert crop.shape[0] < 100 < prepared.read_crop_at(fake.video, fake.frame, 0).shape[0]


def test_evaluation_and_shuffled_batches_show_the_touched_face_of_every_frame(checked: Path) -> None:
    videos = with_places(load_prepared(checked), "touched")
    val = select_videos(videos, "val", multiple_faces="touched")
    assert "left out: none" in val.summary()
    samples = plan_evaluation(val.videos, 5, 24).batches.samples
    assert len(samples) == 5 * 3
    drawn = plan_epoch(
        DataConfig(batches="shuffled"), val.videos, [], epoch=1, total_epochs=2, seed=0
    ).batches.samples
    for one in (*samples, *drawn):
        video_id = videos.at[one.video, "video_id"]
        if video_id != "real_1.mp4":  # of which its two fakes say different things
            right = video_id == "fake_1.mp4"
            assert (centre(checked, video_id, one.frame, one.face) > SMALL) == right, one


def test_a_mask_outweighs_the_difference(checked: Path) -> None:
    status = FakeStore(checked).read_status().set_index("video_id")
    assert status["marked_by"].to_dict() == {
        "fake_0.mp4": "difference",
        "fake_1.mp4": "difference",
        "masked_1.mp4": "mask",
    }
    touched = status["tracks_touched"].map(list).to_dict()
    assert touched["fake_1.mp4"] != touched["masked_1.mp4"] and all(len(own) == 1 for own in touched.values())


def checked_alone(work: Path, mask: Path) -> tuple[FakeCheck, int]:
    """What is found of one fake with this mask, and how often it said that it is at work."""
    prepared, boxes = load_prepared(work), BoxStore(work).read_rows(["masked_1.mp4"])
    fake, original = (
        prepared.videos.at[prepared.row(f"{name}_1.mp4"), "path"] for name in ("masked", "real")
    )
    beats: list[None] = []
    at_work = partial(beats.append, None)
    found = check_fake("masked_1.mp4", fake, original, boxes, FakeSettings(), beat=at_work, mask=str(mask))
    return found, len(beats)


def test_a_mask_that_cannot_be_read_leaves_the_difference(checked: Path, tmp_path: Path) -> None:
    (tmp_path / "mask.mp4").write_bytes(b"no film")
    found, beats = checked_alone(checked, tmp_path / "mask.mp4")
    assert (found.marked_by, found.status) == ("difference", "partial") and len(found.tracks_touched) == 1
    assert "marked by the difference, as its mask can't be read" in found.error
    found, more = checked_alone(checked, checked.parent / "mask.mp4")
    assert (found.marked_by, found.status, found.error) == ("mask", "ok", "")
    assert more > beats, "whoever watches sees that the mask is read"


def without_originals(work: Path, folder: Path) -> Path:
    """The same set before check-fakes, whose fakes have no originals that it could compare."""
    bare = Path(shutil.copytree(work, folder, ignore=shutil.ignore_patterns("fakes")))
    scan = pq.read_table(bare / "videos.parquet")
    place = scan.schema.get_field_index("original_id")
    nobody = pa.array([""] * len(scan), scan.schema.types[place])
    pq.write_table(scan.set_column(place, scan.schema.field(place), nobody), bare / "videos.parquet")
    return bare


def test_where_no_original_is_known_no_fake_need_be_measured(work: Path, tmp_path: Path) -> None:
    videos = with_places(load_prepared(without_originals(work, tmp_path / "work")), "touched")
    fakes = videos["label"] == 1
    assert videos.loc[fakes, "touched_unknown"].all() and videos["places"].isna().all()
    selection = select_videos(videos, "train", multiple_faces="touched")
    assert (selection.videos["label"] == 0).all() and len(selection.videos) == 1


def test_frames_without_the_touched_face_are_not_shown(checked: Path) -> None:
    prepared = load_prepared(checked)
    videos = with_places(prepared, "touched")
    row = prepared.row("fake_1.mp4")
    place = places_of(videos)[row]
    later = place.within(((7, 10),))
    assert later.frames.tolist() == [7, 8, 9] and later.face_of(8) is not None and later.face_of(3) is None
    videos.at[row, "places"] = later
    samples = plan_evaluation(videos.loc[[row]], 7, 24).batches.samples
    assert {one.frame for one in samples} == {7, 8, 9}


def test_fakes_of_which_it_cannot_be_told_are_left_out_and_counted(checked: Path) -> None:
    videos = with_places(load_prepared(checked), "touched")
    row = videos.index[videos["video_id"] == "fake_1.mp4"][0]
    videos.at[row, "touched_unknown"] = True
    selection = select_videos(videos, "val", multiple_faces="touched")
    assert "1 touched face unknown" in selection.summary() and row not in selection.videos.index


def test_folders_of_before_are_measured_again_where_there_are_several(checked: Path, tmp_path: Path) -> None:

    old = tmp_path / "work"
    shutil.copytree(checked, old)
    (commit,) = (old / "fakes").glob("videos-*.parquet")
    table = pq.read_table(commit)
    metadata = {k: v for k, v in table.schema.metadata.items() if k not in (b"checksums", b"ARROW:schema")}
    table = table.drop_columns(["tracks_touched", "tracks_unknown", "marked_by"])
    pq.write_table(table.replace_schema_metadata(metadata), commit)
    assert "3 were measured before tracks were marked: run check-fakes again" in status_text(old)
    assert with_places(load_prepared(old), "touched")["touched_unknown"].sum() == 3
    assert here("verify", old).returncode == 0
    with one_process():
        assert check_fakes(old).statuses == {"ok": 3}
        assert check_fakes(old).statuses == {}
    assert with_places(load_prepared(old), "touched")["touched_unknown"].sum() == 0
    assert here("verify", old).returncode == 0


def test_a_set_that_was_not_measured_says_what_to_run(work: Path, tmp_path: Path) -> None:

    bare = tmp_path / "work"
    shutil.copytree(work, bare)
    shutil.rmtree(bare / "fakes", ignore_errors=True)
    with pytest.raises(FileNotFoundError, match=f"run  ffpp-prep check-fakes {bare}"):
        with_places(load_prepared(bare), "touched")


def test_a_run_trains_and_scores_the_touched_faces_and_compare_notes_it(
    checked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = {}
    for several in ("keep", "touched"):
        runs[several] = tmp_path / several
        command = ["run", "--data", str(checked), "--model", NETWORK, "--out"]
        command += [
            str(runs[several]),
            "--input-size",
            "32",
            "--batch-size",
            "2",
            "--workers",
            "0",
            "--epochs",
            "1",
        ]
        command += ["--device", "cpu", "--threads", "1", "--multiple-faces", several]
        with caplog.at_level(logging.INFO):
            assert main([*command, "--set", "data.allow_leaks=true"]) == 0
    told = "several faces: 3 fakes shown by the touched face, 2 originals by the face in its place"
    assert told in caplog.text
    scored = ["evaluate", str(runs["touched"]), "--split", "val", "--workers", "0", "--device", "cpu"]
    assert main([*scored, "--trust", NETWORK]) == 0
    found, facts = read_predictions(runs["touched"] / "predictions-val.parquet")
    assert facts["multiple_faces"] == "touched"
    fakes = found[found["video_id"] == "fake_1.mp4"]
    assert all(centre(checked, r.video_id, r.frame, r.face) > SMALL for r in fakes.itertuples())
    outcome = compare_runs(list(runs.values()), tmp_path / "comparison", trust=(NETWORK,))
    note = (
        "val: keep: videos of several faces by their best face; "
        "touched: videos of several faces by the touched face."
    )
    assert note in outcome.notes


def test_a_start_reads_the_touched_faces_once_and_tells_of_those_it_shows(
    checked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(prepared: PreparedSet) -> TouchedFaces:
        read.append(prepared)
        return touched_faces(prepared)

    monkeypatch.setattr("dfd_train.data.several.touched_faces", counted)
    data = {"work": str(checked), "multiple_faces": "touched", "allow_leaks": True, "batch_size": 2}
    config = build_config({"data": data})
    opened = open_data(config)
    told = describe_data(opened, config)
    assert len(read) == 1
    assert "usable videos: train 1 real and 1 fake; val 1 real and 2 fake; test none" in "\n".join(told)
    assert any(line.startswith("several faces: 3 fakes shown") for line in told)
    # beside blends, frames show their best face: only the fakes that validate are shown by the touched one
    blends = build_config({"data": {**data, "batches": "blends"}})
    row = opened.train.videos.index[opened.train.videos["label"] == 0]
    vouched = {int(row[0]): np.arange(FRAMES, dtype=np.int32)}
    reals = replace(opened, train=only_real(opened.train), pairs=[], vouched=vouched)
    (line,) = [line for line in describe_data(reals, blends) if line.startswith("several faces")]
    assert line.startswith("several faces: 2 fakes shown by the touched face, 1 original by")


def test_marks_by_shares() -> None:
    """A flickering track is touched; a few faces taken for touched ones make none; noise makes it unknown."""
    judged = [(0, "touched")] * 3 + [(0, "untouched")] * 7 + [(1, "touched")] + [(1, "untouched")] * 19
    judged += [(2, "unknown")] * 6 + [(2, "untouched")] * 4
    assert by_difference(judged) == TouchedTracks((0,), (2,), "difference")
    boxes = pd.DataFrame([(f, k, k) for f in range(4) for k in range(2)], columns=["frame", "face", "track"])
    shares = {(f, k): 0.5 * (k == 1 and f > 1) for f in range(4) for k in range(2)}
    assert by_mask(shares, boxes) == TouchedTracks((1,), (), "mask")
    assert by_mask({(0, 1): 0.5}, boxes) == TouchedTracks((1,), (0,), "mask")  # of the other it says nothing
    assert by_mask(dict.fromkeys(shares, 0.0), boxes) is None  # a mask that shows nothing says nothing
