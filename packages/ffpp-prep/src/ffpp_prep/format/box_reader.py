"""Face boxes of single videos, read when asked for: most crops are stored and need none."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.format.tables import read_table

_CACHED_VIDEOS = 64
_NAMES = ("frame", "face", "x1", "y1", "x2", "y2", "pts")
_COLUMNS = pa.schema([("video_id", pa.string()), *(BOXES_SCHEMA.field(name) for name in _NAMES)])

__all__ = ["BoxReader", "FaceBox"]


class FaceBox(NamedTuple):
    """The detector's box of one face, in pixels of the displayed frame.

    pts: when the frame is shown; None where that doesn't tell the video's frames apart.
    """

    pts: int | None
    x1: float
    y1: float
    x2: float
    y2: float


class BoxReader:
    """The boxes of `WORK/boxes`, one video at a time; `parts` tells in which part each video stands."""

    def __init__(self, folder: Path, parts: dict[str, str]) -> None:
        self._folder, self._parts = folder, parts
        self._videos: OrderedDict[str, dict[tuple[int, int], FaceBox]] = OrderedDict()

    def find(self, video_id: str, frame: int, face: int = 0) -> FaceBox | None:
        """The box of a face, or None where there is none. Raises: Damaged where the part isn't what was written."""
        if video_id not in self._videos:
            self._videos[video_id] = self._read(video_id)
            if len(self._videos) > _CACHED_VIDEOS:
                self._videos.popitem(last=False)
        return self._videos[video_id].get((frame, face))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_videos": OrderedDict()}

    def _read(self, video_id: str) -> dict[tuple[int, int], FaceBox]:
        part = self._parts.get(video_id)
        path = self._folder / f"boxes-{part}.parquet"
        if part is None or not path.is_file():
            return {}
        table = read_table(path, remedy_of(path), _COLUMNS, lambda low, high: low <= video_id <= high)
        table = table.filter(pc.equal(table["video_id"], video_id))
        values = list(zip(*(table[name].to_pylist() for name in _NAMES), strict=True))
        times = sorted({(frame, pts) for frame, *_, pts in values})
        rising = all(first[1] < second[1] for first, second in pairwise(times))
        return {
            (frame, face): FaceBox(pts if rising else None, *corners) for frame, face, *corners, pts in values
        }
