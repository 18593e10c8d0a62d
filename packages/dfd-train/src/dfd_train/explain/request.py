"""What to explain, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dfd_train.report.table import Table
from dfd_train.settings.sections import Count, Device
from ffpp_prep.options import Checked, Range


@dataclass(frozen=True)
class ExplainRequest(Checked):
    """What to explain, and how."""

    runs: tuple[Path, ...]
    out: Path
    methods: tuple[str, ...] = ("lime",)
    samples: Count = 1000
    """of lime, for each picture and model"""
    seed: Annotated[int, Range(ge=0)] = 0
    data: Path | None = None
    """another prepared set than the first run's own"""
    videos: tuple[str, ...] = ()
    """empty: `per_method` of every method's test videos, drawn by seed"""
    per_method: Count = 1
    frame: Annotated[int, Range(ge=0)] | None = None
    """unset: each video's middle one"""
    images: tuple[Path, ...] = ()
    """photographs and videos instead of a prepared set's; their faces are found as by predict"""
    crops: tuple[Path, ...] = ()
    """pictures of face crops instead"""
    device: Device = "auto"
    trust: tuple[str, ...] = ()
    """functions that the runs' checkpoints may have called, see `load_model`"""


@dataclass(frozen=True)
class ExplainOutcome:
    """What a person is shown, and where the page is."""

    page: Path
    predictions: Table
    scores: Table | None
    """None where no picture has a mask"""
    left_out: bool = False
    """whether some of the files could not be explained; a warning named each"""
