"""What is measured of one table of predictions and of parts of it, each part once for all tables of a report."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dfd_train.metrics import Intervals, Summary, estimate_intervals, summarize
from dfd_train.metrics.paired import judged_videos
from dfd_train.metrics.videos import Aggregation


@dataclass(frozen=True)
class Measures:
    """A table of predictions, one row a frame, and its measures. Raises: ValueError where row numbers come twice."""

    frames: pd.DataFrame
    aggregation: Aggregation = "mean"
    threshold: float = 0.5
    _known: dict[tuple[object, str], Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.frames.index.is_unique:
            raise ValueError("row numbers come twice: parts of the table can't be told apart by them")

    def summary(self, rows: pd.DataFrame | None = None) -> Summary:
        """Returns the summary of some rows of `frames`, or of all."""
        found: Summary = self._once(summarize, rows, self.aggregation, self.threshold)
        return found

    def intervals(self, rows: pd.DataFrame | None = None) -> Intervals:
        """Returns the intervals of the summary of some rows of `frames`, or of all."""
        found: Intervals = self._once(estimate_intervals, rows, self.aggregation, self.threshold)
        return found

    def judged(self, rows: pd.DataFrame | None = None) -> pd.DataFrame:
        """Returns `judged_videos` of some rows of `frames`, or of all."""
        found: pd.DataFrame = self._once(judged_videos, rows, self.aggregation)
        return found

    def _once(self, make: Callable[..., Any], rows: pd.DataFrame | None, *settings: object) -> Any:
        rows = self.frames if rows is None else rows
        key = make, hashlib.sha256(rows.index.to_numpy(np.int64).tobytes()).hexdigest()
        if key not in self._known:
            self._known[key] = make(rows, *settings)
        return self._known[key]
