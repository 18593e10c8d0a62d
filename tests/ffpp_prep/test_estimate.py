"""The estimate against what the real run then found, wrote and took."""

from __future__ import annotations

import re
import time
from pathlib import Path

import h5py
import pytest
from conftest import FRAMES, ffpp_prep

from ffpp_prep import estimate_root, read_boxes
from ffpp_prep.errors import UsageError
from ffpp_prep.faces import CropSettings


def test_against_the_real_thing(tree: Path, detected: Path, extracted: Path) -> None:
    found = estimate_root(tree, jobs=2)
    assert (found.videos, found.counted, found.unreadable) == (8, 8, 2)
    assert (
        found.frames == found.detected_frames == 6 * FRAMES
    )  # every header was read: nothing to extrapolate
    assert found.hours == pytest.approx(6 * FRAMES / 25 / 3600, rel=1e-6)
    assert found.crops == pytest.approx(len(read_boxes(detected)), rel=0.2)
    stored = sum(len(h5py.File(path)["blob"]) for path in (extracted / "faces").glob("*.h5"))
    assert found.crops_bytes == pytest.approx(stored, rel=0.3)
    rows = len(read_boxes(detected))
    assert 10 * rows < found.boxes_bytes < 200 * rows
    assert 1 < found.detect_rate < 1000 and found.jobs == 2 and found.probed == 4
    assert found.boxes_s == pytest.approx(
        6 * FRAMES / found.detect_rate / 2, rel=0.5
    )  # decoding is the small part


def test_choosing_frames_and_codec(tree: Path) -> None:
    every = estimate_root(tree, crop=CropSettings(codec="raw"), jobs=1)
    some = estimate_root(tree, crop=CropSettings(codec="raw", frames=3), jobs=1)
    assert some.crops == pytest.approx(every.crops / 4, rel=0.1)
    assert some.crops_bytes == pytest.approx(every.crops_bytes / 4, rel=0.1)


def test_the_command(tree: Path) -> None:
    started = time.monotonic()
    result = ffpp_prep("estimate", tree, "--jobs", 2, "--codec", "png")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - started < 120
    assert re.search(rf"videos +8, 3 s of video, about {6 * FRAMES} frames", result.stdout)
    assert re.search(r"extract +about \d+ s and [\d.]+ [kM]B: \d+ crops as png", result.stdout)
    assert "2 of the 8 videos can't be opened" in result.stdout


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    (tmp_path / "real" / "x.mp4").write_bytes(b"no video")
    with pytest.raises(UsageError, match="none of the 1 videos tried can be opened"):
        estimate_root(tmp_path)
