"""Means over the sets of a suite, with intervals where the sets are independent evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfd_train.metrics.clustered import NONE, Interval, mean_of_intervals
from dfd_train.suite.score import SetNumbers
from dfd_train.suite.standing import UNNAMED, Standing

KINDS: tuple[tuple[str, tuple[Standing, ...]], ...] = (
    ("in-set", ("in-set",)),
    ("cross-set", ("cross-set",)),
    ("all", ("in-set", "cross-set", "unknown")),
)
"""means and the sets that count in them; one with videos that the model has seen counts in none"""


@dataclass(frozen=True)
class Mean:
    """The mean of each measure over sets, each of which counts alike."""

    kind: str
    sets: int
    videos: int
    expected: int
    auc: float
    auc_interval: Interval
    balanced_accuracy: float
    balanced_interval: Interval
    frame_auc: float
    eer: float


def means(rows: Sequence[SetNumbers]) -> list[Mean]:
    """Returns the means over the sets of one protocol, in-set, cross-set and all; none of a kind without sets."""
    found = []
    for kind, standings in KINDS:
        own = [row for row in rows if row.standing in standings]
        if own:
            auc, auc_interval = _mean(own, "video_auc")
            balanced, balanced_interval = _mean(own, "balanced_accuracy")
            found.append(
                Mean(
                    kind=kind,
                    sets=len(own),
                    videos=sum(row.coverage.scored for row in own),
                    expected=sum(row.coverage.expected for row in own),
                    auc=auc,
                    auc_interval=auc_interval,
                    balanced_accuracy=balanced,
                    balanced_interval=balanced_interval,
                    frame_auc=_mean(own, "frame_auc")[0],
                    eer=_mean(own, "eer")[0],
                )
            )
    return found


def independent(rows: Sequence[SetNumbers]) -> bool:
    """Returns whether no person can stand in two of the sets: each is of data sets of its own, known by name."""
    named = [name for row in rows for name in row.datasets]
    return len(set(named)) == len(named) and not UNNAMED & set(named)


def _mean(rows: Sequence[SetNumbers], measure: str) -> tuple[float, Interval]:
    values = [float(getattr(row.summary, measure)) for row in rows]
    ends = [Interval(getattr(row.ends.low, measure), getattr(row.ends.high, measure)) for row in rows]
    if len(rows) == 1:
        return values[0], ends[0]
    return float(np.mean(values)), mean_of_intervals(values, ends) if independent(rows) else NONE
