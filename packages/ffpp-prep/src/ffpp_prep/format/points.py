"""The points of a face: how WORK/landmarks stores them, and the five that crops are aligned by."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.tables import read_table

__all__ = ["FIVE", "POINTS", "POINT_BYTES", "PointReader", "five_points", "packed", "unpacked"]

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

POINTS = 468
POINT_BYTES = 2 * 2 * POINTS
STEPS = 1024  # to the box's side; finer ones than a point's own jitter would only take space
_FIVE = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
FIVE = tuple(f"{axis}_{name}" for name in _FIVE for axis in "xy")
"""columns of a table: x and y of each of the five"""

# Of the mesh's points; "right" is the person's own right, on the left of the picture.
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
NOSE_TIP, RIGHT_MOUTH, LEFT_MOUTH = 1, 61, 291

_CACHED_VIDEOS = 16
_COLUMNS = pa.schema(
    [
        ("video_id", pa.string()),
        ("frame", pa.int32()),
        ("face", pa.int8()),
        ("points", pa.binary(POINT_BYTES)),
    ]
)


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


class PointReader:
    """The points in `WORK/landmarks`, one video at a time, read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, str] | None = None
        self._videos: OrderedDict[str, dict[tuple[int, int], bytes]] = OrderedDict()

    def find(self, video_id: str, frame: int, face: int, box: Box) -> Floats | None:
        """Returns the five points of a face in pixels, (5, 2); None where there are none. Raises: Damaged."""
        points = self.find_all(video_id, frame, face, box)
        return None if points is None else five_points(points)

    def find_all(self, video_id: str, frame: int, face: int, box: Box) -> Floats | None:
        """Returns all points of a face in pixels, (468, 2); None where there are none. Raises: Damaged."""
        if video_id not in self._videos:
            self._videos[video_id] = self._read(video_id)
            if len(self._videos) > _CACHED_VIDEOS:
                self._videos.popitem(last=False)
        content = self._videos[video_id].get((frame, face))
        return None if content is None else unpacked(content, box)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_videos": OrderedDict()}

    def _read(self, video_id: str) -> dict[tuple[int, int], bytes]:
        if self._parts is None:
            self._parts = {}
            for commit in sorted(self._folder.glob("videos-*.parquet")):
                names = read_table(commit, remedy_of(commit), pa.schema([("video_id", pa.string())]))
                part = commit.stem.removeprefix("videos-")
                self._parts |= dict.fromkeys(names["video_id"].to_pylist(), part)
        if video_id not in self._parts:
            return {}
        path = self._folder / f"landmarks-{self._parts[video_id]}.parquet"
        table = read_table(path, remedy_of(path), _COLUMNS, (video_id,))
        values = (table[name].to_pylist() for name in ("frame", "face", "points"))
        return {(frame, face): content for frame, face, content in zip(*values, strict=True)}
