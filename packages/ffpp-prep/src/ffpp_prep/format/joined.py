"""Several prepared sets opened as one: the rows of all below each other, each crop read from its own set."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.box_reader import FaceBox
from ffpp_prep.format.geometry import CropGeometry, Image
from ffpp_prep.format.made_with import detection_settings
from ffpp_prep.format.prepared import Cutter, PreparedSet, load_prepared
from ffpp_prep.format.prepared_videos import with_likeness

__all__ = [
    "JoinedSets",
    "detection_of",
    "join_videos",
    "likeness_of",
    "merged_settings",
    "open_sets",
    "set_names",
]


@dataclass(frozen=True)
class JoinedSets(PreparedSet):
    """Several sets as one; `work` is the first one's.

    In `videos` a column `set` names each row's set, and `video_id` and `original_id` begin with that name.
    """

    sets: tuple[PreparedSet, ...] = ()

    @cached_property
    def parts(self) -> tuple[tuple[PreparedSet, int], ...]:
        """The sets, each with the row at which it begins."""
        ends = np.cumsum([len(one.videos) for one in self.sets]).tolist()
        return tuple(zip(self.sets, [0, *ends[:-1]], strict=True))

    def read_crop_at(self, row: int, frame: int, face: int = 0) -> Image:
        """Reads a crop out of its own set."""
        own, start = self._part(row)
        return own.read_crop_at(row - start, frame, face)

    def box_at(self, row: int, frame: int, face: int = 0) -> FaceBox | None:
        """Finds a box in its own set."""
        own, start = self._part(row)
        return own.box_at(row - start, frame, face)

    def points_at(
        self, row: int, frame: int, face: int, box: tuple[float, float, float, float]
    ) -> npt.NDArray[np.float32] | None:
        """Finds the points in their own set."""
        own, start = self._part(row)
        return own.points_at(row - start, frame, face, box)

    def points_in_crop(self, row: int, frame: int, face: int = 0) -> npt.NDArray[np.float64]:
        """Finds all points of a crop in their own set."""
        own, start = self._part(row)
        return own.points_in_crop(row - start, frame, face)

    def is_stored(self, row: int, frame: int, face: int = 0) -> bool:
        """Asks the crop's own set."""
        own, start = self._part(row)
        return own.is_stored(row - start, frame, face)

    def are_stored(self, spots: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Asks each crop's own set."""
        stored = np.zeros(len(spots), np.bool_)
        for own, start in self.parts:
            here = (spots[:, 0] >= start) & (spots[:, 0] < start + len(own.videos))
            stored[here] = own.are_stored(spots[here] - np.array([start, 0], np.int32))
        return stored

    def cut_as(self, geometry: CropGeometry, cutter: Cutter) -> PreparedSet:
        """Cuts the crops of all sets another way."""
        if geometry == self.geometry:
            return self
        sets = tuple(one.cut_as(geometry, cutter) for one in self.sets)
        return replace(self, sets=sets, crops=None, recut=geometry)

    def with_margin(self, margin: float) -> PreparedSet:
        """Cuts the crops of all sets with another margin."""
        sets = tuple(one.with_margin(margin) for one in self.sets)
        return replace(self, sets=sets, crops=None, recut=sets[0].geometry)

    def _part(self, row: int) -> tuple[PreparedSet, int]:
        return next(part for part in reversed(self.parts) if part[1] <= row)


def open_sets(works: Sequence[str | Path]) -> PreparedSet:
    """Opens one work folder, or several as one set.

    Raises:
        FileNotFoundError: as `load_prepared`.
        UserError: as `load_prepared`; the sets' crops are cut in several ways, or one is named twice.
    """
    places = [Path(work).resolve() for work in works]
    sets = tuple(load_prepared(work) for work in works)
    if len(sets) == 1:
        return sets[0]
    names = set_names(places)
    cuts = {one.geometry: one.work for one in sets}
    if len(cuts) > 1:
        told = "; ".join(
            f"{work}: margin {cut.margin:g}, border {cut.border}, size {cut.size}, align {cut.align or 'none'}"
            for cut, work in cuts.items()
        )
        raise UserError(
            f"the sets' crops are cut in several ways, by which a network can tell the sets apart: {told}"
        )
    first = sets[0]
    videos = join_videos([one.videos for one in sets], names)
    return JoinedSets(
        work=first.work,
        videos=videos,
        demonstration=any(one.demonstration for one in sets),
        fingerprint=hashlib.sha256("\n".join(one.fingerprint for one in sets).encode()).hexdigest(),
        crops=first.crops,
        boxes=first.boxes,
        rows=pd.Index(videos["video_id"]),
        points=first.points,
        detector=first.detector,
        sets=sets,
    )


def join_videos(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Puts tables of several sets below each other, numbered from 0, with a column `set` and names in front of ids."""
    joined = []
    for table, name in zip(tables, names, strict=True):
        original = table["original_id"]
        known = original.notna() & (original != "")
        joined.append(
            table.assign(
                set=name,
                video_id=f"{name}/" + table["video_id"],
                original_id=original.where(~known, f"{name}/" + original.astype(object)),
            )
        )
    return pd.concat(joined, ignore_index=True)


def set_names(places: Collection[Path]) -> list[str]:
    """Names folders by the fewest last parts of each one's path that end none of the others.

    Raises:
        UserError: one of them is named twice.
    """
    twice = next((place for place in places if list(places).count(place) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice: each prepared set counts once")
    return ["/".join(place.parts[-_length(place, places) :]) for place in places]


def likeness_of(prepared: PreparedSet, videos: pd.DataFrame) -> pd.DataFrame:
    """Returns `with_likeness` of rows of a set, or of several that are one."""
    if not isinstance(prepared, JoinedSets):
        return with_likeness(prepared.work, videos)
    return pd.concat(
        [
            with_likeness(
                own.work, rows.assign(video_id=own.videos["video_id"][rows.index - start].to_numpy())
            ).assign(video_id=rows["video_id"])
            for own, start, rows in _rows(prepared, videos)
        ]
    )


def detection_of(prepared: PreparedSet) -> dict[str, tuple[Any, ...]]:
    """Returns `detection_settings` of a set, or of several that are one: of each setting all values."""
    return merged_settings([detection_settings(own.work) for own, _ in prepared.parts])


def merged_settings(told: Sequence[Mapping[str, tuple[Any, ...]]]) -> dict[str, tuple[Any, ...]]:
    """Returns what several sets were told, by the names of settings: all values, each once."""
    found: dict[str, tuple[Any, ...]] = {}
    for settings in told:
        for name, values in settings.items():
            own = found.get(name, ())
            found[name] = (*own, *(value for value in values if value not in own))
    return found


def _rows(prepared: PreparedSet, videos: pd.DataFrame) -> Iterator[tuple[PreparedSet, int, pd.DataFrame]]:
    """Yields each part of a set, its first row, and its rows among `videos`."""
    for own, start in prepared.parts:
        yield own, start, videos[(videos.index >= start) & (videos.index < start + len(own.videos))]


def _length(place: Path, places: Collection[Path]) -> int:
    others = [other for other in places if other != place]
    return next(n for n in count(1) if all(other.parts[-n:] != place.parts[-n:] for other in others))
