"""Prepared sets as reports know them: the tables of their videos, each opened once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dfd_train.errors import UserError
from ffpp_prep.format.joined import join_videos, merged_settings, set_names
from ffpp_prep.format.made_with import detection_settings
from ffpp_prep.format.prepared_videos import read_prepared_videos

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkTables:
    """What is read of one prepared set: nothing of its crops."""

    videos: pd.DataFrame
    detection: Mapping[str, tuple[Any, ...]]
    """see `detection_settings`"""


@dataclass(frozen=True)
class Works:
    """The sets that were opened so far, by their folders; None for one that can't be."""

    known: dict[tuple[Path, ...], WorkTables | None] = field(default_factory=dict)

    def open(self, works: Sequence[Path]) -> WorkTables | None:
        """Returns the tables of a set, or of several as one; None, with one warning, where one can't be read."""
        places = tuple(work.resolve() for work in works)
        if places not in self.known:
            try:
                self.known[places] = self._joined(places) if len(places) > 1 else _read(places[0])
            except (OSError, UserError) as error:
                told = ", ".join(map(str, works))
                log.warning("what a comparison tells of %s is left out: %s", told, error)
                self.known[places] = None
        return self.known[places]

    def _joined(self, places: tuple[Path, ...]) -> WorkTables | None:
        tables = [self.open([place]) for place in places]
        if not all(tables):
            return None
        found = [one for one in tables if one]
        return WorkTables(
            join_videos([one.videos for one in found], set_names(places)),
            merged_settings([one.detection for one in found]),
        )


def _read(work: Path) -> WorkTables:
    return WorkTables(read_prepared_videos(work)[0], detection_settings(work))
