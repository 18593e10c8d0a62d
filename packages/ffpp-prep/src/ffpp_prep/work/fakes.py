"""The parts in WORK/fakes: which faces of the fakes were manipulated at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ffpp_prep.format.schemas import CHECKS_SCHEMA, FAKES_SCHEMA
from ffpp_prep.one_video.fakes import FakeCheck
from ffpp_prep.work.parts import PartStore

__all__ = ["FakeStore", "read_fakes"]


class FakeStore(PartStore[FakeCheck]):
    """The parts in WORK/fakes."""

    def __init__(self, work: Path) -> None:
        super().__init__(work / "fakes", "fakes", FAKES_SCHEMA, CHECKS_SCHEMA)


def read_fakes(work: str | Path) -> pd.DataFrame:
    """Returns all committed measurements of WORK, one row per face, sorted by video, frame, face: see FAKES_SCHEMA."""
    return FakeStore(Path(work)).read_rows()
