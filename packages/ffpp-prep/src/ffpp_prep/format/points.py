"""The points of a face: how WORK/landmarks stores them, and the five that crops are aligned by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import LANDMARKS_SCHEMA, POINT_BYTES, POINTS
from ffpp_prep.format.tables import read_table

__all__ = [
    "FIVE",
    "POINTS",
    "POINT_BYTES",
    "SURE",
    "PointReader",
    "five_points",
    "packed",
    "unpacked",
    "upright_points",
]

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

STEPS = 1024  # to the box's side; finer ones than a point's own jitter would only take space
_FIVE = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
FIVE = tuple(f"{axis}_{name}" for name in _FIVE for axis in "xy")
"""columns of a table: x and y of each of the five"""

# Of the mesh's points; "right" is the person's own right, on the left of the picture.
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
NOSE_TIP, RIGHT_MOUTH, LEFT_MOUTH = 1, 61, 291
# Shares of the box, of an upright face that looks ahead.
_UPRIGHT = np.array([(0.31, 0.38), (0.69, 0.38), (0.5, 0.58), (0.34, 0.76), (0.66, 0.76)], np.float32)

SURE = 0.5
"""the mesh's flag from which on it takes a face for one"""
_CACHED_VIDEOS = 16
_ID = pa.field("video_id", pa.string())
_FLAGS = pa.schema([_ID, *map(LANDMARKS_SCHEMA.field, ("frame", "face", "flag"))])
_COLUMNS = pa.schema([*_FLAGS, LANDMARKS_SCHEMA.field("points")])


def packed(points: Floats, box: Box) -> bytes:
    """Returns points (468, 2) in pixels as they are stored: half floats relative to the box, little-endian,
    all x, then all y.

    0 is the box's left and top, 1 its right and bottom; rounded to 1/1024.
    """
    x1, y1, x2, y2 = box
    size = np.array([max(x2 - x1, 1e-3), max(y2 - y1, 1e-3)], np.float32)
    relative = (points - np.array([x1, y1], np.float32)) / size
    rounded = (np.rint(relative * STEPS) / STEPS).clip(-60000, 60000)
    return bytes(rounded.T.astype("<f2").tobytes())


def unpacked(content: bytes, box: Box) -> Floats:
    """Returns the points (468, 2) in pixels of the frame; the inverse of `packed`."""
    x1, y1, x2, y2 = box
    relative = np.frombuffer(content, "<f2").reshape(2, POINTS).T.astype(np.float32)
    points: Floats = relative * np.array([x2 - x1, y2 - y1], np.float32) + np.array([x1, y1], np.float32)
    return points


def five_points(points: Floats) -> Floats:
    """Returns eyes, nose tip and corners of the mouth, right before left, (..., 5, 2), of `points` (..., 468, 2)."""
    eyes = [points[..., list(corners), :].mean(axis=-2) for corners in (RIGHT_EYE, LEFT_EYE)]
    others = [points[..., index, :] for index in (NOSE_TIP, RIGHT_MOUTH, LEFT_MOUTH)]
    return np.stack([*eyes, *others], axis=-2)


def upright_points(box: Box) -> Floats:
    """Returns the five points, (5, 2), of an upright face in a box: of one that the mesh takes for none."""
    x1, y1, x2, y2 = box
    points: Floats = np.array([x1, y1], np.float32) + _UPRIGHT * np.array([x2 - x1, y2 - y1], np.float32)
    return points


class PointReader:
    """The points in `WORK/landmarks`, one video at a time, read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._videos: OrderedDict[str, dict[tuple[int, int], tuple[float, bytes]]] = OrderedDict()

    def find(self, video_id: str, frame: int, face: int, box: Box) -> Floats | None:
        """Returns the five points of a face in pixels, (5, 2), upright ones where the mesh takes it for none; None
        where there are none. Raises: Damaged.
        """
        found = self._find(video_id, frame, face)
        if found is None:
            return None
        flag, content = found
        return five_points(unpacked(content, box)) if flag >= SURE else upright_points(box)

    def find_all(self, video_id: str, frame: int, face: int, box: Box) -> Floats | None:
        """Returns all points of a face in pixels, (468, 2); None where there are none. Raises: Damaged."""
        found = self._find(video_id, frame, face)
        return None if found is None else unpacked(found[1], box)

    def vouched_frames(self, video_ids: Collection[str]) -> dict[str, NDArray[np.int32]]:
        """Returns the frames of each video whose best face the mesh takes for one, ascending; videos of which there
        are no landmarks are missing. Raises: Damaged.
        """
        found: dict[str, NDArray[np.int32]] = {}
        for part in sorted({self._part_of[video_id] for video_id in video_ids if video_id in self._part_of}):
            path = self._folder / f"landmarks-{part}.parquet"
            table = read_table(path, remedy_of(path), _FLAGS)
            best = table.filter((pc.field("face") == 0) & (pc.field("flag") >= SURE)).to_pandas()
            own = dict(tuple(best.groupby("video_id", observed=True)["frame"]))
            found |= {
                video_id: np.sort(own[video_id].to_numpy(np.int32))
                if video_id in own
                else np.empty(0, np.int32)
                for video_id in video_ids
                if self._part_of.get(video_id) == part
            }
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_videos": OrderedDict()}

    @cached_property
    def _part_of(self) -> dict[str, str]:
        """The part that holds each video."""
        parts: dict[str, str] = {}
        for commit in sorted(self._folder.glob("videos-*.parquet")):
            names = read_table(commit, remedy_of(commit), pa.schema([("video_id", pa.string())]))
            parts |= dict.fromkeys(names["video_id"].to_pylist(), commit.stem.removeprefix("videos-"))
        return parts

    def _find(self, video_id: str, frame: int, face: int) -> tuple[float, bytes] | None:
        if video_id not in self._videos:
            self._videos[video_id] = self._read(video_id)
            if len(self._videos) > _CACHED_VIDEOS:
                self._videos.popitem(last=False)
        return self._videos[video_id].get((frame, face))

    def _read(self, video_id: str) -> dict[tuple[int, int], tuple[float, bytes]]:
        if video_id not in self._part_of:
            return {}
        path = self._folder / f"landmarks-{self._part_of[video_id]}.parquet"
        table = read_table(path, remedy_of(path), _COLUMNS, (video_id,))
        values = (table[name].to_pylist() for name in ("frame", "face", "flag", "points"))
        return {(frame, face): (flag, content) for frame, face, flag, content in zip(*values, strict=True)}
