"""Prepared sets as reports know them: the tables of their videos, each opened once."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dfd_train.errors import UserError
from ffpp_prep.format.made_with import detection_settings
from ffpp_prep.format.prepared import read_prepared_videos

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

    known: dict[Path, WorkTables | None] = field(default_factory=dict)

    def open(self, work: Path) -> WorkTables | None:
        """The tables of a set; None, with a warning the first time, where it can't be read."""
        place = work.resolve()
        if place not in self.known:
            try:
                self.known[place] = WorkTables(read_prepared_videos(work)[0], detection_settings(work))
            except (OSError, UserError) as error:
                log.warning("what a comparison tells of %s is left out: %s", work, error)
                self.known[place] = None
        return self.known[place]
