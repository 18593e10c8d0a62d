"""Crops: the pixels and the file format."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from clips import FRAMES, here
from crops import expected, extract, padded, shards, stored
from PIL import Image

from ffpp_prep import extract_faces, read_videos
from ffpp_prep.format.codecs import CODECS, codec
from ffpp_prep.format.shard_summaries import MissingCrops
from ffpp_prep.settings import CropSettings
from ffpp_prep.work import plan
from ffpp_prep.work.shards import VideoSlice, write_shard


def test_every_crop_byte_for_byte(extracted: Path) -> None:
    a, b = stored(extracted), expected(extracted)
    assert a.keys() == b.keys() and len(a) >= 6 * FRAMES
    assert all(np.array_equal(a[key], b[key]) for key in a)


def test_file_format(extracted: Path) -> None:
    videos = read_videos(extracted).set_index("video_id")
    for path in shards(extracted):
        commit = json.loads(path.with_suffix(".json").read_text())
        with h5py.File(path) as file:
            assert (
                dict(file.attrs)["color"] == "RGB"
                and file.attrs["complete"]
                and file.attrs["format_version"] == 1
            )
            assert (file.attrs["codec"], file.attrs["size"], file.attrs["margin"]) == ("zstd", 0, 0.3)
            n = len(file["frame"])
            assert commit["crops"] == n and len(file["offsets"]) == n + 1 and file["shape"].shape == (n, 2)
            types = {
                name: str(file[name].dtype) for name in ("blob", "offsets", "shape", "video", "frame", "pts")
            }
            assert types == {
                "blob": "uint8",
                "offsets": "uint64",
                "shape": "int32",
                "video": "uint32",
                "frame": "int32",
                "pts": "int64",
            }
            everything = [file[name] for name in (*types, "face", "box", "score", "label", "crc32")]
            assert all(
                d.chunks is None and d.compression is None for d in everything
            )  # contiguous, unfiltered
            for row, video_id in enumerate(file["videos/id"][:].astype(str)):
                start, count = int(file["videos/start"][row]), int(file["videos/count"][row])
                assert (file["video"][start : start + count] == row).all()
                assert (file["label"][start : start + count] == videos.loc[video_id, "label"]).all()
                assert file["videos/original_id"][row].decode() == videos.loc[video_id, "original_id"]


def test_again_does_nothing(extracted: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(extracted, tmp_path / "work"))
    before = {p.name: p.stat().st_mtime_ns for p in (work / "faces").glob("faces-*")}
    result = here("extract", work)
    assert result.returncode == 0 and "extract: 0 shards, 0 crops" in result.stdout
    assert before == {p.name: p.stat().st_mtime_ns for p in (work / "faces").glob("faces-*")}


def test_the_plan_is_read_once(extracted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = shutil.copytree(extracted, tmp_path / "work")
    read, one_plan = [], plan.read_one_plan

    def counted(path: Path) -> plan.Plan:
        read.append(path.name)
        return one_plan(path)

    monkeypatch.setattr(plan, "read_one_plan", counted)
    extract_faces(work)
    assert read == ["plan.json"]


@pytest.mark.parametrize("name", [c.name for c in CODECS if c.lossless])
def test_lossless_codecs(name: str, head: list) -> None:
    for crop in (
        head[0][5:100, 20:111],
        head[1][:1, :1],
        np.random.default_rng(0).integers(0, 256, (33, 64, 3), np.uint8),
    ):
        crop = np.ascontiguousarray(crop)
        assert np.array_equal(codec(name).decode(bytes(codec(name).encode(crop)), *crop.shape[:2]), crop)


def test_jpeg_is_close(head: list) -> None:
    crop = np.ascontiguousarray(head[0][5:100, 20:111])
    back = codec("jpeg").decode(bytes(codec("jpeg").encode(crop)), *crop.shape[:2])
    assert 0 < np.abs(back.astype(int) - crop).mean() < 3


def test_every_and_size(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--size", 64, "--every", 5)
    crops = stored(work)
    assert {crop.shape for crop in crops.values()} == {(64, 64, 3)}
    assert crops.keys() == {key for key in expected(work) if key[1] in (0, 5, 10)}
    for key, crop in list(expected(work).items())[::5]:
        if key in crops:  # the same picture, by another library's resizing
            other = np.asarray(Image.fromarray(crop).resize((64, 64), Image.Resampling.BICUBIC))
            assert np.abs(crops[key].astype(int) - other).mean() < 3


def test_margin_and_padding(detected: Path, tmp_path: Path) -> None:
    work, _ = extract(detected, tmp_path, "--margin", 2, "--border", "pad", "--codec", "qoi")
    a, b = stored(work), expected(work, padded)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    assert any(
        not crop[:, 0].any() or not crop[0].any() for crop in a.values()
    )  # some reach beyond the frame


def test_a_crop_that_can_not_be_stored_is_missing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of more than 16,383 pixels in WebP."""
    raw = codec("raw")

    def encode(crop: np.ndarray) -> bytes:
        if crop.shape[0] > 40:
            raise RuntimeError("bad\ndimension")
        return bytes(raw.encode(crop))

    monkeypatch.setattr("ffpp_prep.work.shards.codec", lambda name: replace(raw, encode=encode))
    sides = [30.0, 60.0, 30.0]
    boxes = pd.DataFrame({"frame": [0, 1, 2], "pts": 0, "face": 0, "score": 0.9, "x1": 50.0, "y1": 50.0})
    boxes[["x2", "y2"]] = np.array([sides, sides]).T + 50
    path = str(tree / "original_sequences" / "youtube" / "c23" / "videos" / "000.mp4")
    video = VideoSlice("v", path, "m", "", 0, boxes)
    summary = write_shard(tmp_path, 0, [video], CropSettings(codec="raw"), lambda: None)
    error = "raw can't store a crop of 78x78: bad dimension"
    assert summary.crops == 2 and summary.missing == (MissingCrops("v", 1, error),)
    with h5py.File(tmp_path / "faces-00000.h5") as file:
        assert file["frame"][:].tolist() == [0, 2] and file["blob"].size == file["offsets"][2]
