"""Which crops are stored: frames, splits, methods, scores, budgets."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import FRAMES, here
from crops import expected, extract, shards, stored

from ffpp_prep import read_boxes, read_videos, verify_work
from ffpp_prep.format.checksums import KEY
from ffpp_prep.format.frames import evaluation_frames, various_frame
from ffpp_prep.settings import Choice, CropSettings
from ffpp_prep.stages.crop_plan import plan_crops
from ffpp_prep.work.plan import write_plan


def test_choosing_frames(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--frames", 3, "--codec", "raw")
    assert {frame for _, frame, _ in stored(work)} == {0, 4, 8}
    result = here("extract", work, "--frames", 4, "--codec", "raw")
    assert result.returncode == 2 and "--frames 3 (now 4)" in result.stderr


def test_a_set_goes_on_with_its_codec(detected: Path, tmp_path: Path) -> None:
    work, stay = Path(shutil.copytree(detected, tmp_path / "work")), Choice(methods=("Deepfakes",))
    assert plan_crops(work, CropSettings(frames=1), stay).settings.codec == "zstd"
    plan = plan_crops(work, CropSettings("png", frames=1), stay)
    write_plan(work / "faces", plan.shards, plan.settings)
    plan = plan_crops(work, CropSettings(frames=1), Choice())
    assert plan.settings.codec == "png" and len(plan.shards) == 2


def test_for_training_stores_what_training_asks_for(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--for-training", 4)
    split = read_videos(work).set_index("video_id")["split"]
    asked = {
        "train": {various_frame(epoch, FRAMES, 4)[0] for epoch in range(1, 5)},
        "val": set(evaluation_frames(FRAMES, 7)[0]),
    }
    usable = {video_id for video_id, _, _ in expected(work)}
    assert {(video_id, frame) for video_id, frame, _ in stored(work)} == {
        (video_id, frame) for video_id in usable for frame in asked[split[video_id]]
    }


def test_a_work_without_any_face_says_so(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    for part in (work / "boxes").glob("videos-*.parquet"):
        table = pq.read_table(part)
        statuses = pa.array(["no_face"] * len(table))
        pq.write_table(table.set_column(table.schema.get_field_index("status"), "status", statuses), part)
    result = here("extract", work)
    assert result.returncode == 1 and result.stderr == ""
    assert "8 videos left out: no_face" in result.stdout
    assert "nothing to cut out: no face in any video" in result.stdout


def test_for_training_leaves_out_what_is_in_no_split(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    table = pq.read_table(work / "videos.parquet")
    ids = table["video_id"].to_pylist()
    gone = {"unused": ids[0], None: ids[1]}
    splits = [next((s for s, v in gone.items() if v == i), "train") for i in ids]
    at = table.schema.get_field_index("split")
    pq.write_table(table.set_column(at, "split", pa.array(splits)), work / "videos.parquet")
    work, out = extract(detected, tmp_path, "--for-training", 4)
    assert "2 videos left out: in no split" in out
    assert {v for v, _, _ in stored(work)}.isdisjoint(gone.values())


def scan_again(work: Path, splits: dict[str, str]) -> None:
    """Gives videos, by their `video_id`, other splits, as scanning again with other lists does."""
    table = pq.read_table(work / "videos.parquet")
    changed = [
        splits.get(video_id, split)
        for video_id, split in zip(table["video_id"].to_pylist(), table["split"].to_pylist(), strict=True)
    ]
    at = table.schema.get_field_index("split")
    pq.write_table(table.set_column(at, "split", pa.array(changed)), work / "videos.parquet")


def test_for_training_after_scanning_again_with_other_splits(detected: Path, tmp_path: Path) -> None:
    """What is planned stays what it is, written or not; what only the new split asks for is added, once."""
    asked = {
        "train": {various_frame(epoch, FRAMES, 4)[0] for epoch in range(1, 5)},
        "val": set(evaluation_frames(FRAMES, 7)[0]),
        "test": set(evaluation_frames(FRAMES, 12)[0]),
    }
    assert not asked["train"] <= asked["val"] < asked["test"]
    options = ("--for-training", 4, "--codec", "raw")
    work, _ = extract(detected, tmp_path, *options)
    first = stored(work)
    a, b, c = sorted({video_id for video_id, _, _ in first})[:3]  # all of train
    frames = {video_id: {f for v, f, _ in first if v == video_id} for video_id in (a, b, c)}
    assert all(found == asked["train"] for found in frames.values())

    commits = sorted((work / "faces").glob("faces-*.json"))
    unwritten = next(p for p in commits if a.encode() in h5py.File(p.with_suffix(".h5"))["videos/id"][:])
    for path in (unwritten, work / "faces" / "manifest.json"):  # as after a kill
        path.unlink()
    scan_again(work, {a: "val", b: "test", c: "unused"})
    assert verify_work(work).damage == ()
    work, out = extract(detected, tmp_path, *options)
    assert "1 video left out: in no split" in out
    now = stored(work)  # which fails where a crop stands twice
    assert first.keys() < now.keys() and all(np.array_equal(now[key], first[key]) for key in first)
    frames = {video_id: {f for v, f, _ in now if v == video_id} for video_id in (a, b, c)}
    assert frames[a] == asked["train"] | asked["val"] and frames[b] == asked["train"] | asked["test"]
    assert frames[c] == asked["train"] and len(now) == len(first) + sum(
        len(asked[split] - asked["train"]) for split in ("val", "test")
    )

    scan_again(work, {a: "test", b: "val", c: "train"})
    assert verify_work(work).damage == ()
    work, out = extract(detected, tmp_path, *options)
    again = stored(work)
    assert {f for v, f, _ in again if v == a} == asked["train"] | asked["test"]
    assert again.keys() - now.keys() == {(a, f, 0) for f in asked["test"] - asked["train"] - asked["val"]}
    assert verify_work(work).damage == () and "0 shards, 0 crops" in extract(detected, tmp_path, *options)[1]


def test_a_plan_of_before_splits_and_boxes_were_recorded(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--for-training", 4)
    path = work / "faces" / "plan.json"
    plan = json.loads(path.read_text())
    assert {piece[3] for shard in plan["shards"] for piece in shard} == {"train"}
    assert len(plan["settings"].pop("boxes")) == 64 and plan.pop(KEY)
    plan["settings"] = {name: value for name, value in plan["settings"].items() if value != ""}  # later ones
    without = hashlib.sha256(json.dumps(plan["settings"], sort_keys=True).encode()).hexdigest()
    plan["fingerprint"] = without
    plan["shards"] = [[piece[:3] for piece in shard] for shard in plan["shards"]]
    path.write_text(json.dumps(plan))
    (work / "faces" / "plan-copy.json").unlink()
    for commit in (work / "faces").glob("faces-*.json"):
        commit.unlink()
    _, out = extract(detected, tmp_path, "--for-training", 4)
    assert "extract: 1 shard," in out and verify_work(work).damage == ()
    (shard,) = shards(work)
    with h5py.File(shard) as file:
        assert file.attrs["fingerprint"] == without


def test_methods_can_be_added_later(detected: Path, tmp_path: Path) -> None:
    work, out = extract(detected, tmp_path, "--methods", "FaceSwap")
    assert "2 videos left out: other methods" in out
    first = stored(work)
    assert {v.split("/")[1] for v, _, _ in first} == {"FaceSwap", "youtube"}
    work, out = extract(detected, tmp_path)
    both = stored(work)
    assert len(both) > len(first) and all(np.array_equal(both[k], first[k]) for k in first)


def test_planned_crops_whose_boxes_are_gone(extracted: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(extracted, tmp_path / "work"))
    (work / "faces" / "faces-00000.json").unlink()
    commit = work / "boxes" / "videos-00000.parquet"
    table = pq.read_table(commit)
    status = ["timeout" if s == "ok" else s for s in table["status"].to_pylist()]
    at = table.schema.get_field_index("status")
    pq.write_table(table.set_column(at, "status", pa.array(status)), commit)
    result = here("extract", work)
    assert result.returncode == 2 and "the boxes of 6 planned videos are gone" in result.stderr


def test_crops_never_mix_with_those_of_other_boxes(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--frames", 2, "--methods", "FaceSwap")
    refused = here("boxes", work, "--detect-every", 6)
    assert refused.returncode == 2 and f"or remove {work}/boxes and {work}/faces" in refused.stderr
    shutil.rmtree(work / "boxes")
    early = here("extract", work, "--frames", 2)
    assert early.returncode == 2 and "no boxes here" in early.stderr
    assert here("boxes", work, "--detect-every", 6).returncode == 1  # the tree has broken videos
    refused = here("extract", work, "--frames", 2)
    assert refused.returncode == 2 and "written with boxes of fingerprint" in refused.stderr
    repaired = here("verify", work, "--repair")
    assert repaired.returncode == 1 and "made of other boxes than those in WORK/boxes" in repaired.stdout
    assert f"to make it again:  ffpp-prep extract {work} --codec zstd --frames 2\n" in repaired.stdout
    work, _ = extract(detected, tmp_path, "--frames", 2)
    assert stored(work).keys() == {key for key in expected(work) if key[1] in (0, 6)}
    assert verify_work(work).damage == ()


def test_min_score(detected: Path, tmp_path: Path) -> None:
    scores = read_boxes(detected).set_index(["video_id", "frame", "face"])["score"]
    limit = round(float(scores.median()), 3)
    work, _ = extract(detected, tmp_path, "--min-score", limit)
    kept = {key for key in expected(work) if scores[key] >= limit}
    assert stored(work).keys() == kept and 0 < len(kept) < len(scores)


def test_videos_of_several_faces_are_left_out_unless_included(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    commit = work / "boxes" / "videos-00000.parquet"
    table = pq.read_table(commit)
    several = table["video_id"].to_pylist()[0]
    at = table.schema.get_field_index("multiple_faces")
    flags = [video_id == several for video_id in table["video_id"].to_pylist()]
    pq.write_table(table.set_column(at, "multiple_faces", pa.array(flags)), commit)
    work, out = extract(detected, tmp_path)
    assert "1 video left out: multiple_faces" in out
    without = stored(work)
    assert without.keys() == {key for key in expected(detected) if key[0] != several}
    work, out = extract(detected, tmp_path, "--include-multiple-faces")
    assert "left out: multiple_faces" not in out and stored(work).keys() == expected(detected).keys()


def test_budget_takes_originals_first(detected: Path, tmp_path: Path) -> None:
    work, out = extract(detected, tmp_path, "--max-gb", 0.0002, "--codec", "raw")
    assert "left out: over --max-gb" in out
    kept = {v.split("/")[0] for v, _, _ in stored(work)}
    assert kept <= {"original_sequences"}


def test_budget_of_the_default_codec_is_not_exceeded(detected: Path, extracted: Path, tmp_path: Path) -> None:
    def crops_bytes(work: Path) -> int:  # what HDF5 adds, 64 kB a shard, counts for nothing in large ones
        return sum(int(h5py.File(path)["offsets"][-1]) for path in shards(work))

    whole = crops_bytes(extracted)
    work, out = extract(detected, tmp_path, "--max-gb", 0.8 * whole / 1e9)
    assert "left out: over --max-gb" in out
    # the estimate is for footage as FF++'s c23; these clips are encoded better and compress a little less
    assert 0.4 * whole < crops_bytes(work) <= 0.85 * whole


def test_budget_takes_methods_in_turn_and_can_grow(detected: Path, tmp_path: Path) -> None:
    """Six videos of about 0.21 MB each: room for four."""
    work, out = extract(detected, tmp_path, "--max-gb", 0.00095, "--codec", "raw")
    assert "2 videos left out: over --max-gb" in out
    kept = Counter(v.split("/")[1] for v in {v for v, _, _ in stored(work)})
    assert kept == {"youtube": 2, "Deepfakes": 1, "FaceSwap": 1}
    for path in (work / "faces").glob("faces-*"):  # as after a kill: planned, and not written yet
        path.unlink()
    _, out = extract(detected, tmp_path, "--max-gb", 0.00095, "--codec", "raw")
    assert "2 videos left out: over --max-gb" in out
    _, out = extract(detected, tmp_path, "--codec", "raw")
    assert "over --max-gb" not in out and len({v for v, _, _ in stored(work)}) == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--codec", "bmp"), "choose from 'zstd', 'webp'"),
        (("--frames", 3, "--every", 2), "exclude each other"),
        (("--margin", -1), "--margin -1.0: must be a number in 0 ≤ margin ≤ 4"),
        (("--max-gb", -1), "--max-gb -1.0: must be"),
        (("--methods", "Deepfake"), "not in WORK; it has Deepfakes"),
        (("--jobs", 0), "--jobs 0"),
    ],
)
def test_wrong_options(detected: Path, tmp_path: Path, options: tuple, words: str) -> None:
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    result = here("extract", work, *options)
    assert result.returncode == 2 and words in result.stderr and "Traceback" not in result.stderr
    assert not (work / "faces" / "plan.json").exists()


def test_frame_formulas() -> None:
    # By hand: n = 8, 50 epochs of a 300-frame video: (8 * 40) mod 250 + floor(320 / 300) = 70 + 1.
    assert various_frame(40, 300, 50)[0] == 71
    assert [various_frame(e, 300, 50)[0] for e in (1, 2, 31)] == [8, 16, 248]
    assert evaluation_frames(300, 7)[0] == [10 + 41 * i for i in range(7)]
    assert evaluation_frames(15, 12)[0] == [i * 15 // 12 for i in range(12)]
    assert all(0 <= various_frame(e, n, 50)[0] < n for e in range(1, 51) for n in (1, 2, 49, 50, 51, 52, 400))


def test_crops_that_are_probably_no_face_are_counted(detected: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    path = work / "boxes" / "boxes-00000.parquet"
    table = pq.read_table(path)
    scores = table["score"].to_pylist()
    weak = [0.3 if i < 5 else score for i, score in enumerate(scores)]
    at = table.schema.get_field_index("score")
    pq.write_table(table.set_column(at, "score", pa.array(weak, pa.float32())), path)
    work, out = extract(detected, tmp_path)
    below = sum(score < 0.45 for score in weak)
    assert f"  {below} of {len(stored(work))} crops below the detector's threshold 0.45" in out
    shutil.rmtree(work / "faces")
    work, out = extract(detected, tmp_path, "--min-score", 0.45)
    assert "below the detector's threshold" not in out and len(stored(work)) == len(weak) - below
