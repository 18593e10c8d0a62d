"""The estimate against what the real run then found, wrote and took; and what `status` says of a run."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import h5py
import pytest
from clips import FRAMES, QUICK, here

from ffpp_prep import estimate_root, find_landmarks, read_boxes
from ffpp_prep.errors import UserError
from ffpp_prep.settings import BoxSettings, CropSettings, SplitSettings
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.status import status_text

pytestmark = pytest.mark.usefixtures("one_process")
BOXES = BoxSettings(detector="blazeface")


def test_against_the_real_thing(tree: Path, detected: Path, extracted: Path, tmp_path: Path) -> None:
    found = estimate_root(tree, jobs=2)
    assert (found.videos, found.counted, len(found.unreadable)) == (8, 8, 2)
    assert (
        found.frames == found.detected_frames == 6 * FRAMES
    )  # every header was read: nothing to extrapolate
    assert found.hours == pytest.approx(6 * FRAMES / 25 / 3600, rel=1e-6)
    assert found.crops == pytest.approx(len(read_boxes(detected)), rel=0.2)
    stored = sum(len(h5py.File(path)["blob"]) for path in (extracted / "faces").glob("*.h5"))
    assert found.crops_bytes == pytest.approx(stored, rel=0.3)
    rows = len(read_boxes(detected))
    assert 10 * rows < found.boxes_bytes < 200 * rows
    assert found.faces == pytest.approx(rows, rel=0.2)
    work = Path(shutil.copytree(detected, tmp_path / "work"))
    find_landmarks(work)
    stored = sum(path.stat().st_size for path in (work / "landmarks").glob("landmarks-*.parquet"))
    assert found.landmarks_bytes == pytest.approx(stored, rel=0.5)  # 72 rows
    assert 0 < found.landmarks_s < found.boxes_s  # the mesh takes a few per cent of the detector
    assert 1 < found.detect_rate < 1000 and found.jobs == 2 and found.probed == 4
    assert found.boxes_s == pytest.approx(
        6 * FRAMES / found.detect_rate / 2, rel=0.5
    )  # decoding is the small part


def test_choosing_frames_and_codec(tree: Path) -> None:
    every = estimate_root(tree, boxes=BOXES, crop=CropSettings(codec="raw"))
    some = estimate_root(tree, boxes=BOXES, crop=CropSettings(codec="raw", frames=3))
    assert some.crops == pytest.approx(every.crops / 4, rel=0.1)
    assert some.crops_bytes == pytest.approx(every.crops_bytes / 4, rel=0.1)


def test_for_training_counts_by_split(tree: Path, tmp_path: Path) -> None:
    crop = CropSettings(codec="raw", for_training=2)
    found = estimate_root(tree, boxes=BOXES, crop=crop)
    # The six readable videos are all of the training pair; 900 and 901, which validate, can't be opened.
    assert found.crops == pytest.approx(6 * 2, rel=0.2)
    for name, pairs in {"train": [], "val": [["000", "001"]], "test": []}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(pairs))
    validating = estimate_root(tree, boxes=BOXES, crop=crop, splits=SplitSettings(tmp_path))
    assert validating.crops == pytest.approx(6 * 7, rel=0.2)


def test_the_command(tree: Path) -> None:
    result = here("estimate", tree, "--codec", "png", *QUICK)
    assert result.returncode == 0, result.stderr
    assert re.search(rf"videos +8, 3 s of video, about {6 * FRAMES} frames", result.stdout)
    assert re.search(r"points +about \d+ s and [\d.]+ [kM]B: landmarks of \d+ faces", result.stdout)
    assert re.search(r"extract +about \d+ s and [\d.]+ [kM]B: \d+ crops as png", result.stdout)
    assert re.search(r"2 of the 8 can't be opened: \S+900\.mp4, \S+901\.mp4\n", result.stdout)


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    (tmp_path / "real" / "x.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="1 video tried, none can be opened"):
        estimate_root(tmp_path)


def test_status_tells_rate_time_left_and_disk(extracted: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(extracted, tmp_path / "work"))
    crops = len(read_boxes(work))
    text = status_text(work)
    assert re.search(
        rf"latest run: extract, {crops} of {crops} crops in \d+ s, [\d.]+ crops/s, until 2\d\d\d-", text
    )
    assert re.search(r"disk: boxes [\d.]+ kB, crops [\d.]+ [kM]B; [\d.]+ [GT]B free", text)
    with only_run(work), ProgressBar(work, "boxes", 40, "video") as bar:
        time.sleep(1)
        bar.advance(10, "7.0 frames/s")
        bar.__exit__(None, None, None)  # writes now rather than in a few seconds
        at_work = re.search(
            r"boxes at work: 10 of 40 videos in (\d+) s, ([\d.]+) videos/s \(7.0 frames/s\); about (\d+) s left",
            status_text(work),
        )
        assert at_work
        seconds, rate, left = map(float, at_work.groups())  # of a busy machine, and rounded
        assert 10 / (seconds + 0.6) < rate < 10 / (seconds - 0.6) and left == pytest.approx(
            30 / rate, abs=0.6
        )
    (work / "faces" / "faces-00000.json").unlink()
    assert "0 of 1 shard written: 0 crops" in status_text(work)
