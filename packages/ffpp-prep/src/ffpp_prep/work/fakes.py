"""The parts in WORK/fakes: which faces of the fakes were manipulated at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ffpp_prep.format.schemas import CHECKS_SCHEMA, FAKES_SCHEMA
from ffpp_prep.text.units import counted
from ffpp_prep.work.parts import PartStore

if TYPE_CHECKING:  # `status` needs no decoder
    from ffpp_prep.one_video.fakes import FakeCheck  # noqa: F401  # it stands in quotes below

__all__ = ["FakeStore", "marked_lines", "read_fakes"]


class FakeStore(PartStore["FakeCheck"]):
    """The parts in WORK/fakes."""

    def __init__(self, work: Path) -> None:
        super().__init__(work / "fakes", "fakes", FAKES_SCHEMA, CHECKS_SCHEMA)


def read_fakes(work: str | Path) -> pd.DataFrame:
    """Returns all committed measurements of WORK, one row per face, sorted by video, frame, face: see FAKES_SCHEMA."""
    return FakeStore(Path(work)).read_rows()


def marked_lines(checks: pd.DataFrame) -> list[str]:
    """Returns of how many fakes of several faces it is known which was manipulated; nothing where there is none.

    Args:
        checks: rows of CHECKS_SCHEMA, with `frames_multi_face` of the same fakes.
    """
    several = checks[checks["frames_multi_face"] > 0]
    if several.empty:
        return []
    known = several[several["tracks_touched"].str.len().fillna(0) > 0]
    masks = int((known["marked_by"] == "mask").sum())
    line = (
        f"the manipulated face is known in {len(known):,} of {counted(len(several), 'fake')} of several faces"
    )
    line += f", in {masks:,} of them by the mask"
    old = int(several["marked_by"].isna().sum())
    return [
        line + (f"; {old:,} were measured before tracks were marked: run check-fakes again" if old else "")
    ]
