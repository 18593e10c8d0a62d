"""Face boxes of single videos, read when asked for: most crops are stored and need none."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.format.tables import read_table, recorded_footer

_CACHED_VIDEOS = 64
_NAMES = ("frame", "face", "x1", "y1", "x2", "y2", "pts")
_COLUMNS = pa.schema([("video_id", pa.string()), *(BOXES_SCHEMA.field(name) for name in _NAMES)])

__all__ = ["BoxReader", "FaceBox"]

Number = TypeVar("Number", int, npt.NDArray[np.int64])


class FaceBox(NamedTuple):
    """The detector's box of one face, in pixels of the displayed frame.

    pts: when the frame is shown; None where that doesn't tell the video's frames apart.
    """

    pts: int | None
    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2."""
        return self.x1, self.y1, self.x2, self.y2


class BoxReader:
    """The boxes of `WORK/boxes`, one video at a time; `parts` tells in which part each video stands."""

    def __init__(self, folder: Path, parts: dict[str, str]) -> None:
        self._folder, self._parts = folder, parts
        self._videos: OrderedDict[str, _Video] = OrderedDict()

    def find(self, video_id: str, frame: int, face: int = 0) -> FaceBox | None:
        """Returns the box of a face, or None where there is none. Raises: Damaged where the part isn't what
        was written.
        """
        if video_id not in self._videos:
            self._videos[video_id] = self._read(video_id)
            if len(self._videos) > _CACHED_VIDEOS:
                self._videos.popitem(last=False)
        return self._videos[video_id].find(frame, face)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_videos": OrderedDict()}

    def _read(self, video_id: str) -> _Video:
        part = self._parts.get(video_id)
        path = self._folder / f"boxes-{part}.parquet"
        if part is None or not path.is_file():
            return _Video.of(_COLUMNS.empty_table())
        remedy = remedy_of(path)
        footer = recorded_footer(self._folder / f"videos-{part}.parquet", remedy)
        table = read_table(path, remedy, _COLUMNS, (video_id,), footer=footer)
        return _Video.of(table)


@dataclass(frozen=True)
class _Video:
    """One video's boxes: (N,) keys of frame and face, ascending, with times and corners (N, 4)."""

    keys: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float32]
    rising: bool
    """whether the times tell the frames apart"""

    @classmethod
    def of(cls, rows: pa.Table) -> _Video:
        frame, face, *corners, pts = (rows[name].to_numpy() for name in _NAMES)
        keys = _key(frame.astype(np.int64), face.astype(np.int64))
        order = np.argsort(keys, kind="stable")
        frame, pts = frame[order], pts[order]
        later = np.diff(pts) > 0
        rising = bool(np.all(np.where(np.diff(frame) == 0, np.diff(pts) == 0, later)))
        return cls(keys[order], pts, np.stack(corners, axis=1)[order], rising)

    def find(self, frame: int, face: int) -> FaceBox | None:
        key = _key(frame, face)
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return None
        return FaceBox(int(self.pts[place]) if self.rising else None, *self.corners[place].tolist())


def _key(frame: Number, face: Number) -> Number:
    return (frame << 8) + face
