"""Crops as `extract` stores them, and as a plain loop cuts them."""

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clips
import h5py
import numpy as np
from clips import here

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.format.codecs import codec


def shards(work: Path) -> list[Path]:
    manifest = json.loads((work / "faces" / "manifest.json").read_text())
    return [work / "faces" / shard["file"] for shard in manifest["shards"]]


def stored(work: Path) -> dict[tuple[str, int, int], np.ndarray]:
    """Every crop of WORK, by (video_id, frame, face): a reader of its own, from docs/format.md alone."""
    crops = {}
    for path in shards(work):
        with h5py.File(path) as file:
            decode = codec(file.attrs["codec"]).decode
            ids = [i.decode() for i in file["videos/id"][:]]
            for i in range(len(file["frame"])):
                data = file["blob"][file["offsets"][i] : file["offsets"][i + 1]].tobytes()
                assert zlib.crc32(data) == file["crc32"][i]
                key = (ids[file["video"][i]], int(file["frame"][i]), int(file["face"][i]))
                assert key not in crops
                crops[key] = decode(data, *file["shape"][i])
    return crops


def clipped(picture: np.ndarray, row: Any) -> np.ndarray:
    """The recorded square, sliced."""
    return picture[max(row.top, 0) : row.bottom, max(row.left, 0) : row.right]


def padded(picture: np.ndarray, row: Any) -> np.ndarray:
    """A square of three times the box's larger side, of a frame with black all around it."""
    around, beyond = 600, np.pad(picture, ((600, 600), (600, 600), (0, 0)))
    width, height = int(row.x2) - int(row.x1), int(row.y2) - int(row.y1)
    left, top = int(row.x1) - width, int(row.y1) - height
    wide, high = 3 * width, 3 * height
    side = max(wide, high)
    left, top = around + left - (side - wide) // 2, around + top - (side - high) // 2
    return beyond[top : top + side, left : left + side]


def expected(
    work: Path, cut: Callable[[np.ndarray, Any], np.ndarray] = clipped
) -> dict[tuple[str, int, int], np.ndarray]:
    """The crops by a plain loop: decode everything, cut out of each frame."""
    videos = read_videos(work)
    usable = videos[
        videos["status"].isin(["ok", "partial"]) & ~videos["multiple_faces"].fillna(False).astype(bool)
    ]
    boxes = read_boxes(work)
    crops = {}
    for video in usable.itertuples():
        frames = clips.decode(Path(video.path))
        for row in boxes[boxes["video_id"] == video.video_id].itertuples():
            crops[video.video_id, row.frame, row.face] = cut(frames[row.frame], row)
    return crops


def extract(detected: Path, tmp_path: Path, *options: object) -> tuple[Path, str]:
    work = tmp_path / "work"
    if not work.exists():
        shutil.copytree(detected, work)
    result = here("extract", work, *options)
    assert result.returncode == 0, result.stderr
    return work, result.stdout
