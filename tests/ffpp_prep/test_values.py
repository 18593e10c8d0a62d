"""No value from a file ends a stage: the video that it is of fails by name, the others' work stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from clips import QUICK, here

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.detector import DETECTORS
from ffpp_prep.format.codecs import CODECS
from ffpp_prep.format.schemas import CHECKS_SCHEMA, STATUS_SCHEMA
from ffpp_prep.one_video.boxes import VideoBoxes
from ffpp_prep.one_video.fakes import FakeCheck
from ffpp_prep.settings import CodecName, DetectorName
from ffpp_prep.stages import boxes
from ffpp_prep.work import shards
from ffpp_prep.work.parts import storable

# What a decoder may make of a header, whatever is bounded today.
VALUES: list[dict[str, Any]] = [
    {"frames_container": 1 << 31},
    {"error": "no \udcff name", "status": "partial"},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: next(iter(value)))
def test_one_videos_value_is_that_videos_failure(
    tree: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: dict[str, Any]
) -> None:
    detect, work = boxes.detect_video, tmp_path / "work"
    name = "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4"

    def detect_video(video_id: str, *rest: Any) -> VideoBoxes:
        found = detect(video_id, *rest)
        return replace(found, **value) if video_id == name else found

    monkeypatch.setattr(boxes, "detect_video", detect_video)
    result = here("boxes", tree, "-o", work, *QUICK)
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    found, right = (read_videos(w).set_index("video_id") for w in (work, quick))
    row = found.loc[name]
    if "error" in value:
        assert (row["status"], row["error"]) == ("partial", r"no \xff name")
        return
    assert row["status"] == "decode_failed" and "what it says of itself can't be recorded" in row["error"]
    assert found.drop(name)["status"].equals(right.drop(name)["status"])
    mine, others = read_boxes(work), read_boxes(quick)
    assert mine.equals(others[others["video_id"] != name].reset_index(drop=True))


def test_what_cannot_be_stored_of_any_column() -> None:
    for schema, whole in (
        (STATUS_SCHEMA, VideoBoxes("a", "ok")),
        (CHECKS_SCHEMA, FakeCheck("a", "ok")),
    ):
        failed = type(whole)("a", "open_failed", "why")
        assert storable(whole, schema, lambda why, failed=failed: failed) is whole
        for field in schema:
            for value in (1 << 70, -(1 << 70), "\udcff", b"\xff", np.float64("nan"), object()):
                odd = type(whole)(**{"video_id": "a", "status": "ok", field.name: value})
                kept = storable(odd, schema, lambda why, failed=failed: failed)
                row = {name: [getattr(kept, name)] for name in schema.names}
                assert len(pa.table(row, schema=schema)) == 1


@pytest.mark.parametrize("fault", [OverflowError, MemoryError])
def test_one_videos_fault_costs_its_crops_only(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    work, crops = Path(shutil.copytree(quick, tmp_path / "work")), shards.crops

    def odd(path: str, *rest: Any) -> Iterator[Any]:
        if "FaceSwap/c23/videos/000_001" in path:
            next(crops(path, *rest))
            raise fault("nothing expected")
        return crops(path, *rest)

    monkeypatch.setattr(shards, "crops", odd)
    result = here("extract", work)
    assert result.returncode == 1 and result.stderr == ""
    name = "manipulated_sequences/FaceSwap/c23/videos/000_001.mp4"
    assert f"crops missing of {name}: {fault.__name__}: nothing expected" in result.stdout
    assert result.stdout.count("missing of") == 1 and "not written" not in result.stdout


def test_names_that_settings_allow_are_those_that_there_are() -> None:
    """A codec is in two places: its name where the command line sees it, its code where nothing else is loaded."""
    assert set(get_args(CodecName)) == {codec.name for codec in CODECS}
    assert set(get_args(DetectorName)) == set(DETECTORS)
