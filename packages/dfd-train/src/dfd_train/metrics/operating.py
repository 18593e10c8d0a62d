"""How good video scores are as probabilities, and what is found at few false alarms."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.metrics import scores
from dfd_train.metrics.clustered import NONE, Interval, mean_interval
from dfd_train.metrics.groups import SampleSize, VideoGroups

ALARM_RATES = (0.01, 0.001)


@dataclass(frozen=True)
class Brier:
    """The Brier score over videos and its parts: score = reliability - resolution + uncertainty."""

    score: float
    interval: Interval
    reliability: float
    """how far the scores in each bin are from its share of fakes, squared: 0 is calibrated"""
    resolution: float
    """how well the score separates videos, inside the bins too"""
    uncertainty: float
    """the part due to the share of fakes alone: share * (1 - share)"""


@dataclass(frozen=True)
class AtFewAlarms:
    """The share of fakes found where at most `rate` of the reals are called fake."""

    rate: float
    reals: int
    hits: float
    """NaN where so few reals can't show the rate, or a class is absent"""

    @property
    def resolvable(self) -> bool:
        """Whether one false alarm is no more than the rate."""
        return self.reals * self.rate >= 1 - 1e-9


def brier(videos: pd.DataFrame, level: float = 0.95) -> Brier:
    """Returns the Brier score with its parts over 15 bins of equal width, of a table of `judged_videos` or the like.

    Brier, Monthly Weather Review 78:1, 1950; Murphy, Journal of Applied Meteorology 12:595, 1973; the resolution
    holds the terms within bins (Stephenson et al., Weather and Forecasting 23:752, 2008), so that the sum is exact.
    """
    label, prob = videos["label"].to_numpy(np.float64), videos["prob"].to_numpy(np.float64)
    squares = (prob - label) ** 2
    bins = np.minimum((prob * scores.CALIBRATION_BINS).astype(int), scores.CALIBRATION_BINS - 1)
    count = np.maximum(np.bincount(bins), 1)
    gaps = np.bincount(bins, prob - label) / count
    reliability = float((np.bincount(bins) * gaps**2).sum() / len(label))
    uncertainty = float(label.mean() * (1 - label.mean()))
    score = float(squares.mean())
    groups = VideoGroups.of(videos)
    evidence = SampleSize.of(groups, label == 1)
    interval = mean_interval(squares, groups.number, evidence.freedom, level) if evidence.enough else NONE
    interval = Interval(interval.low, min(interval.high, 1.0))  # no score is above 1
    return Brier(score, interval, reliability, reliability + uncertainty - score, uncertainty)


def at_few_alarms(videos: pd.DataFrame) -> tuple[AtFewAlarms, ...]:
    """Returns the share of fakes found at each of `ALARM_RATES`, at the best threshold of these very videos."""
    label, key = videos["label"].to_numpy(np.float64), videos["key"].to_numpy(np.float64)
    reals, found = int((label == 0).sum()), []
    alarm, hit = scores.roc_curve(scores.rank(label, key, np.ones(len(label))))
    for rate in ALARM_RATES:
        one = AtFewAlarms(rate, reals, float("nan"))
        if one.resolvable and (label == 1).any():
            one = AtFewAlarms(rate, reals, float(hit[alarm <= rate + 1e-12].max()))
        found.append(one)
    return tuple(found)
