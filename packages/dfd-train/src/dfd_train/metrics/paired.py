"""Whether two detectors differ on the same videos: the difference of a measure, its interval and its p."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics import scores
from dfd_train.metrics.clustered import NOTHING, AucInfluence, covariance, quantile, two_sided
from dfd_train.metrics.groups import SampleSize, VideoGroups
from dfd_train.metrics.scores import Floats
from dfd_train.metrics.videos import Aggregation, ranking_keys, video_scores

PEOPLE = ("dataset", "source_id", "target_id", "original_id")
UNBOUNDED = ("loss", "log_loss")
"""measures that are no shares: two shares differ by 1 at most"""


@dataclass(frozen=True)
class PairedDifference:
    """First less second, on the videos that both scored; `low`, `high` and `p` are NaN where nothing can be said."""

    first: float
    second: float
    low: float
    high: float
    p: float
    evidence: SampleSize

    @property
    def value(self) -> float:
        """The first value minus the second."""
        return self.first - self.second


def judged_videos(predictions: pd.DataFrame, aggregation: Aggregation = "mean") -> pd.DataFrame:
    """Returns `video_scores` with the column `key`, which ranks videos: what `difference` takes."""
    owner = pd.factorize(predictions["video_id"])[0]
    logit = predictions["logit"].to_numpy(np.float64)
    videos = video_scores(predictions, aggregation)
    return videos.assign(key=ranking_keys(logit, owner, aggregation))


def difference(
    first: pd.DataFrame, second: pd.DataFrame, measure: str, threshold: float = 0.5, level: float = 0.95
) -> PairedDifference:
    """Returns the difference in `measure`, a field of `Summary` over videos, `loss`, or `brier`: the mean of (p - y)^2.

    `first`, `second`: from `judged_videos`. The variance is that of the groups' sums of the difference, for the AUC
    Obuchowski's covariance of two areas (Biometrics 53:567, 1997); the interval and p are by Student's t with
    the groups that the rarer class is worth, less one. Nothing is said of too few groups.

    Raises: UserError where no video is in both, or one has two labels.
    """
    one, two = _aligned(first, second)
    label = one["label"].to_numpy(np.float64)
    fake = label == 1
    groups = VideoGroups.of(one if set(PEOPLE[1:]) <= set(one) else two)
    evidence = SampleSize.of(groups, fake)
    nothing = float("nan")
    if measure in ("video_auc", "balanced_accuracy") and not (evidence.fakes and evidence.reals):
        return PairedDifference(nothing, nothing, nothing, nothing, nothing, evidence)
    (here, rows), (there, others) = (
        _influence(each, label, groups, measure, threshold) for each in (one, two)
    )
    if not evidence.enough:
        return PairedDifference(here, there, nothing, nothing, nothing, evidence)
    size = int(groups.number.max()) + 1
    apart = rows - others
    fakes = np.bincount(groups.number[fake], apart[fake], size).astype(np.float64)
    reals = np.bincount(groups.number[~fake], apart[~fake], size).astype(np.float64)
    counts = evidence.fakes, evidence.reals, evidence.groups
    error = float(np.sqrt(max(covariance((fakes, reals), (fakes, reals), *counts), 0.0)))
    gap = here - there
    if error < NOTHING:  # every group says the same: as often by chance as so many coins fall alike
        p = 1.0 if abs(gap) < NOTHING else 2.0 ** (1 - evidence.fewest)
        return PairedDifference(here, there, nothing, nothing, p, evidence)
    reach = quantile(evidence.freedom, level) * error
    p = two_sided(gap, error, evidence.freedom)
    most = np.inf if measure in UNBOUNDED else 1.0
    return PairedDifference(here, there, max(gap - reach, -most), min(gap + reach, most), p, evidence)


def holm(p: Sequence[float]) -> list[float]:
    """Returns values of p corrected for their number: Holm, Scandinavian Journal of Statistics 6:65, 1979.
    NaN stay NaN.
    """
    known = sorted((value, place) for place, value in enumerate(p) if not np.isnan(value))
    corrected, largest = [float("nan")] * len(p), 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        corrected[place] = largest
    return corrected


def _aligned(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the rows of the videos in both, in one order."""
    one = first[first["video_id"].isin(second["video_id"])].set_index("video_id", drop=False)
    if one.empty:
        raise UserError("no video was scored by both")
    two = second.set_index("video_id", drop=False).loc[one.index]
    differing = one["label"].to_numpy() != two["label"].to_numpy()
    if differing.any():
        raise UserError(f"{one.index[differing][0]} is labelled real by one and fake by the other")
    return one, two


def _influence(
    videos: pd.DataFrame, label: Floats, groups: VideoGroups, measure: str, threshold: float
) -> tuple[float, Floats]:
    """Returns the measure, and what each video adds to it (V,): the measure moves by their sum over new videos."""
    prob = videos["prob"].to_numpy(np.float64)
    fake, size = label == 1, len(label)
    hit = ((prob > threshold) == fake).astype(np.float64)
    if measure == "video_auc":
        area = AucInfluence.of(label, videos["key"].to_numpy(np.float64), groups.number)
        return area.auc, area.rows / np.where(fake, fake.sum(), size - fake.sum())
    if measure == "balanced_accuracy":
        share = np.where(fake, hit[fake].mean(), hit[~fake].mean())
        count = np.where(fake, fake.sum(), size - fake.sum())
        return float(hit[fake].mean() + hit[~fake].mean()) / 2, (hit - share) / count / 2
    if measure == "loss":
        weight, value = videos["frames"].to_numpy(np.float64), videos["loss"].to_numpy(np.float64)
    else:
        losses, squares = scores.cross_entropy_of_probs(label, prob), (prob - label) ** 2
        weight, value = np.ones(size), {"video_accuracy": hit, "log_loss": losses, "brier": squares}[measure]
    mean = float(weight @ value / weight.sum())
    return mean, weight * (value - mean) / weight.sum()
