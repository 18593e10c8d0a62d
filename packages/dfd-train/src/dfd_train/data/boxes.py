"""Face boxes of single videos, read when asked for: most crops are stored and need none."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dfd_train.data.checked import checked_table, metadata_of, settings_of
from dfd_train.errors import UserError

_CACHED_VIDEOS = 64
_COLUMNS = pa.schema(
    [
        ("video_id", pa.string()),
        ("frame", pa.int32()),
        ("face", pa.int8()),
        *((name, pa.float32()) for name in ("x1", "y1", "x2", "y2")),
        ("pts", pa.int64()),
    ]
)


class FaceBox(NamedTuple):
    """The detector's box of one face, in pixels of the displayed frame.

    pts: when the frame is shown; None where that doesn't tell the video's frames apart.
    """

    pts: int | None
    x1: float
    y1: float
    x2: float
    y2: float


class BoxStore:
    """The boxes of `WORK/boxes`, one video at a time; `parts` tells in which part each video stands."""

    def __init__(self, folder: Path, parts: dict[str, str]) -> None:
        self._folder, self._parts = folder, parts
        self._videos: OrderedDict[str, dict[tuple[int, int], FaceBox]] = OrderedDict()

    def find(self, video_id: str, frame: int, face: int = 0) -> FaceBox | None:
        """The box of a face, or None where there is none. Raises: UserError where the part cannot be read."""
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
        table = checked_table(path, _COLUMNS, lambda low, high: low <= video_id <= high)
        table = table.filter(pc.equal(table["video_id"], video_id))
        values = list(zip(*(table[name].to_pylist() for name in _COLUMNS.names[1:]), strict=True))
        times = sorted({(frame, pts) for frame, *_, pts in values})
        rising = all(first[1] < second[1] for first, second in pairwise(times))
        return {
            (frame, face): FaceBox(pts if rising else None, *corners) for frame, face, *corners, pts in values
        }


def detection_settings(work: Path) -> dict[str, tuple[Any, ...]]:
    """What `ffpp-prep boxes` was told for WORK, by the names of its settings; several values where parts differ.

    Raises: UserError where a part can't be read.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted((work / "boxes").glob("videos-*.parquet")):
        for name, value in settings_of(path).items():
            if value not in found.get(name, ()):
                found[name] = (*found.get(name, ()), value)
    return found


def check_made_of(folder: Path, boxes: object) -> None:
    """Compares the fingerprint of the boxes that WORK/faces or WORK/fakes was made of with those that there are now.

    Raises: UserError where they differ.
    """
    work = folder.parent
    parts = sorted((work / "boxes").glob("videos-*.parquet"))  # of one fingerprint, all of them
    now = metadata_of(parts[0]).get(b"fingerprint", b"").decode(errors="replace") if parts else ""
    if boxes and now and boxes != now:
        raise UserError(
            f"{folder} was made of other boxes than those in {work / 'boxes'}: "
            f"`ffpp-prep verify {work} --repair` removes it"
        )
