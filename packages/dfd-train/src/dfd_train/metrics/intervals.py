"""How far each number would move with other people: confidence intervals by groups of videos."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics import scores
from dfd_train.metrics.clustered import (
    NONE,
    Groups,
    Interval,
    auc_interval,
    logit_interval,
    mean_interval,
    mean_of_intervals,
    share_interval,
)
from dfd_train.metrics.groups import SampleSize, VideoGroups
from dfd_train.metrics.resampling import standard_errors
from dfd_train.metrics.scores import Floats
from dfd_train.metrics.summary import Levels, Summary
from dfd_train.metrics.videos import Aggregation, video_scores

RESAMPLES = 400
"""enough for a standard error: its own error is 4 %"""


@dataclass(frozen=True)
class Intervals:
    """Lower and upper ends of the intervals of each number, in the shape of the summary itself; NaN: none is given."""

    low: Summary
    high: Summary
    level: float
    evidence: SampleSize


def estimate_intervals(
    predictions: pd.DataFrame,
    aggregation: Aggregation = "mean",
    threshold: float = 0.5,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Returns intervals of every number of `summarize`, for new people: groups of linked videos are the
    evidence, not frames.

    None is given where fewer than five groups hold a class, or are worth fewer than three, nor for the calibration
    error. The same seed gives the same intervals.

    Raises UserError as `summarize` does, and for resamples < 2 or a level outside (0, 1).
    """
    if resamples < 2 or not 0 < level < 1:
        raise UserError(f"resamples {resamples} must be 2 or more and level {level} between 0 and 1")
    levels = Levels.of(predictions, aggregation, "video_id")
    groups = VideoGroups.of(video_scores(predictions, aggregation))
    fake = levels.video_label == 1
    evidence = SampleSize.of(groups, fake)
    videos = Level(
        levels.video_label,
        levels.video_prob,
        levels.video_key,
        scores.cross_entropy_of_probs(levels.video_label, levels.video_prob),
        groups.number,
    )
    frames = Level(
        levels.frame_label,
        levels.frame_prob,
        levels.frame_logit,
        levels.frame_loss,
        groups.number[levels.frame_video],
    )
    of_videos = videos.measured(evidence, threshold, level, resamples, seed)
    of_frames = frames.measured(evidence, threshold, level, resamples, seed)
    low, high = (
        _side(len(videos.label), len(frames.label), of_videos, of_frames, end)
        for end in (lambda one: one.low, lambda one: one.high)
    )
    return Intervals(low, high, level, evidence)


@dataclass(frozen=True)
class Measured:
    """The intervals of one level, videos or frames."""

    accuracy: Interval = NONE
    balanced_accuracy: Interval = NONE
    auc: Interval = NONE
    ap: Interval = NONE
    eer: Interval = NONE
    loss: Interval = NONE


@dataclass(frozen=True)
class Level:
    """Arrays (N,) of videos or of frames; `group` tells whose evidence each is."""

    label: Floats
    prob: Floats
    key: Floats
    loss: Floats
    group: Groups

    def measured(
        self, evidence: SampleSize, threshold: float, level: float, resamples: int, seed: int
    ) -> Measured:
        """Estimates all intervals of this level."""
        if not evidence.enough:
            return Measured()
        hit = ((self.prob > threshold) == (self.label == 1)).astype(np.float64)
        accuracy = share_interval(hit, self.group, level)
        loss = mean_interval(self.loss, self.group, evidence.freedom, level)
        if not (evidence.fakes and evidence.reals):
            return Measured(accuracy=accuracy, loss=loss)
        fake = self.label == 1
        balanced = mean_of_intervals(
            [float(hit[own].mean()) for own in (fake, ~fake)],
            [share_interval(hit[own], self.group[own], level) for own in (fake, ~fake)],
        )
        ranking = scores.rank(self.label, self.key, np.ones(len(self.label)))
        errors = standard_errors(self.label, self.key, self.group, resamples, seed)
        widened = (evidence.worth / evidence.freedom) ** 0.5  # a bootstrap's variance is that of n, not n - 1
        ap, eer = (
            logit_interval(float(value), error * widened, evidence.freedom, level)
            for value, error in zip(
                (scores.average_precision(ranking), scores.equal_error_rate(ranking)), errors, strict=True
            )
        )
        area = auc_interval(self.label, self.key, self.group, level)
        return Measured(accuracy, balanced, area, ap, eer, loss)


def _side(
    videos: int, frames: int, of_videos: Measured, of_frames: Measured, end: Callable[[Interval], float]
) -> Summary:
    """Returns the lower or the upper ends of all intervals."""
    return Summary(
        videos=videos,
        frames=frames,
        loss=end(of_frames.loss),
        frame_accuracy=end(of_frames.accuracy),
        video_accuracy=end(of_videos.accuracy),
        balanced_accuracy=end(of_videos.balanced_accuracy),
        frame_balanced_accuracy=end(of_frames.balanced_accuracy),
        video_auc=end(of_videos.auc),
        frame_auc=end(of_frames.auc),
        ap=end(of_videos.ap),
        frame_ap=end(of_frames.ap),
        eer=end(of_videos.eer),
        frame_eer=end(of_frames.eer),
        log_loss=end(of_videos.loss),
        ece=float("nan"),
        frame_ece=float("nan"),
    )
