"""Whether a score is a probability, what is gained by leaving unsure videos out, and where false alarms come from.

Tables with one row a video: `label`, `prob`, `value` (on the logit scale), `faces`, `length`, and whom they show.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.metrics.clustered import NONE, Interval, groups_worth, share_interval
from dfd_train.metrics.groups import VideoGroups, enough_groups
from ffpp_prep.text.units import counted

BINS = 10
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Bin:
    """Videos whose score lies in one tenth of the scale."""

    low: float
    high: float
    videos: int
    groups: int
    mean: float
    """score"""
    fakes: float
    """share of them"""
    interval: Interval
    """none of fewer than five groups"""


@dataclass(frozen=True)
class Kept:
    """The surest videos: `coverage` of all, and the share of them that is called wrong."""

    coverage: float
    videos: int
    risk: float


@dataclass(frozen=True)
class Alarms:
    """Real videos of one kind, and the share of them that is called fake."""

    kind: str
    reals: int
    groups: int
    share: float
    interval: Interval


def reliability(videos: pd.DataFrame, level: float = 0.95) -> tuple[Bin, ...]:
    """Returns the bins that hold videos, ascending; intervals are Korn and Graubard's over groups."""
    prob, label = videos["prob"].to_numpy(np.float64), videos["label"].to_numpy(np.float64)
    group = VideoGroups.of(videos).number
    place = np.minimum((prob * BINS).astype(int), BINS - 1)
    found = []
    for number in np.unique(place):
        own = place == number
        share, interval = _share(label[own], group[own], level)
        groups = len(np.unique(group[own]))
        ends = number / BINS, (number + 1) / BINS
        found.append(Bin(*ends, int(own.sum()), groups, float(prob[own].mean()), share, interval))
    return tuple(found)


def risk_coverage(videos: pd.DataFrame, threshold: float) -> tuple[Kept, ...]:
    """Returns errors among the surest videos: those whose value lies farthest from `threshold` (El-Yaniv and
    Wiener, 2010).
    """
    value = videos["value"].to_numpy(np.float64)
    wrong = (value > threshold) != (videos["label"].to_numpy() == 1)
    order = np.argsort(-np.abs(value - threshold), kind="stable")
    counts = [max(1, round(share * len(value))) for share in COVERAGES]
    return tuple(
        Kept(share, count, float(wrong[order[:count]].mean()))
        for share, count in zip(COVERAGES, counts, strict=True)
    )


def false_alarms(videos: pd.DataFrame, threshold: float, level: float = 0.95) -> tuple[Alarms, ...]:
    """Returns real videos called fake, by the number of their faces and by thirds of their length in frames."""
    reals = videos[videos["label"] == 0]
    if reals.empty:
        return ()
    group = VideoGroups.of(videos).number[videos["label"].to_numpy() == 0]
    called = (reals["value"].to_numpy(np.float64) > threshold).astype(np.float64)
    faces, length = reals["faces"].to_numpy(), reals["length"].to_numpy(np.float64)
    kinds = [(counted(count, "face"), faces == count) for count in (1, 2)]
    kinds.append(("3 or more faces", faces > 2))
    first, second = np.quantile(length, (1 / 3, 2 / 3))
    kinds += [
        (f"up to {first:,.0f} frames", length <= first),
        (f"up to {second:,.0f} frames", (length > first) & (length <= second)),
        (f"more than {second:,.0f} frames", length > second),
    ]
    found = []
    for kind, own in kinds:
        if own.any():
            share, interval = _share(called[own], group[own], level)
            found.append(Alarms(kind, int(own.sum()), len(np.unique(group[own])), share, interval))
    return tuple(found)


def _share(hit: np.ndarray, group: np.ndarray, level: float) -> tuple[float, Interval]:
    number = np.unique(group, return_inverse=True)[1].astype(np.int64)
    enough = enough_groups(int(number.max()) + 1, groups_worth(number))
    return float(hit.mean()), share_interval(hit, number, level) if enough else NONE
