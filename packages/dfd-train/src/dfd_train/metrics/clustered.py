"""Confidence intervals from videos that come in groups: those of one person are no independent evidence.

Arrays only: `group` is (N,), a number from 0 for each row; a row may be a video or a frame. Which method covers
how often is simulated in benchmarks/coverage.py; docs/metrics.md says it in words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtr, stdtrit

from dfd_train.metrics.scores import Floats

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """Lower and upper end; NaN where none can be given."""

    low: float
    high: float


NONE = Interval(float("nan"), float("nan"))
NOTHING = 1e-12
"""what rounding makes of no difference"""


def auc_interval(label: Floats, score: Floats, group: Groups, level: float = 0.95) -> Interval:
    """Returns the interval of the area under the ROC curve.

    Newcombe's score interval (Statistics in Medicine 25:559, 2006, method 5), its numbers of fakes and reals divided
    by the design effect: Obuchowski's variance of clustered data (Biometrics 53:567, 1997) over DeLong's. Student's
    t with the groups that the rarer class is worth, less one, takes the place of the normal quantile. Where every fake
    stands above every real one, or below, the variance is zero and says nothing; then `separation_bound`.
    """
    fake = label == 1
    fakes, reals = int(fake.sum()), len(label) - int(fake.sum())
    influence = AucInfluence.of(label, score, group)
    if influence.auc in (0.0, 1.0):
        return separation_bound(influence.auc, fake, group, level)
    effect = influence.design_effect()
    spread = quantile(influence.freedom, level)
    area, each = influence.auc, (max(fakes / effect, 1.0), max(reals / effect, 1.0))
    return Interval(_score_root(area, 0.0, spread, *each), _score_root(area, 1.0, spread, *each))


@dataclass(frozen=True)
class AucInfluence:
    """What each row and each group adds to the area under the ROC curve.

    `rows` (N,): a fake's share of reals that it outscores, a real's of fakes that outscore it, ties one half, less
    the area. `fakes`, `reals` (G,): their sums by group, divided by the class's number of rows.
    """

    auc: float
    rows: Floats
    fake: NDArray[np.bool_]
    fakes: Floats
    reals: Floats
    groups: int
    with_fakes: int
    with_reals: int
    worth: float
    """groups of one size that the class with fewer of them is worth"""

    @classmethod
    def of(cls, label: Floats, score: Floats, group: Groups) -> "AucInfluence":
        """Measures the influence of every video (N,); both classes must be there."""
        fake = label == 1
        of_fakes, of_reals = np.sort(score[fake]), np.sort(score[~fake])
        place = np.empty(len(score))
        place[fake] = _share_below(of_reals, score[fake])
        place[~fake] = 1.0 - _share_below(of_fakes, score[~fake])
        area = float(place[fake].mean())
        rows = place - area
        size = int(group.max()) + 1
        return cls(
            auc=area,
            rows=rows,
            fake=fake,
            fakes=np.bincount(group[fake], rows[fake], size) / len(of_fakes),
            reals=np.bincount(group[~fake], rows[~fake], size) / len(of_reals),
            groups=len(np.unique(group)),
            with_fakes=len(np.unique(group[fake])),
            with_reals=len(np.unique(group[~fake])),
            worth=min(groups_worth(group[fake]), groups_worth(group[~fake])),
        )

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t."""
        return self.worth - 1

    def covariance(self, other: "AucInfluence") -> float:
        """Returns Obuchowski's covariance of two areas of the same rows; with itself the variance."""
        counts = self.with_fakes, self.with_reals, self.groups
        return covariance((self.fakes, self.reals), (other.fakes, other.reals), *counts)

    def design_effect(self) -> float:
        """Returns the clustered variance over that of independent rows (DeLong et al., Biometrics 44:837,
        1988), at least 1.

        Below 1 it would say that groups are worth more than their videos, which few groups say by chance.
        """
        alone = 0.0
        for own in (self.rows[self.fake], self.rows[~self.fake]):
            alone += _less_one(len(own)) * float(own @ own) / len(own) ** 2
        return max(1.0, self.covariance(self) / alone) if alone > 0 else 1.0


def covariance(
    one: tuple[Floats, Floats], other: tuple[Floats, Floats], with_fakes: int, with_reals: int, groups: int
) -> float:
    """Returns the covariance of two measures from their groups' sums over fakes and over reals, (G,) each
    (Obuchowski 1997).
    """
    return float(
        _less_one(with_fakes) * (one[0] @ other[0])
        + _less_one(with_reals) * (one[1] @ other[1])
        + _less_one(groups) * (one[0] @ other[1] + one[1] @ other[0])
    )


def groups_worth(group: Groups) -> float:
    """Returns how many groups of one size groups of these rows are worth: as many as they are where all are of one
    size, and next to one where most rows are in one.

    Kish's effective number (Survey Sampling, Wiley 1965, section 11.7): (Σn)² / Σn², with n rows in a group.
    """
    sizes = np.unique(group, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def _less_one(size: int) -> float:
    return size / (size - 1) if size > 1 else 1.0


def _share_below(ordered: Floats, value: Floats) -> Floats:
    below = np.searchsorted(ordered, value, "left") + np.searchsorted(ordered, value, "right")
    return below / (2.0 * len(ordered))


def quantile(freedom: float, level: float) -> float:
    """Returns the two-sided quantile of Student's t; of one degree of freedom where there is less."""
    return float(stdtrit(max(freedom, 1), 0.5 + level / 2))


def _score_root(area: float, end: float, spread: float, fakes: float, reals: float) -> float:
    """Finds by bisection where |area - x| = spread * sd(x), between `area` and `end`."""
    half = max((fakes + reals) / 2 - 1, 0.0)
    inside, outside = area, end
    for _ in range(50):
        x = (inside + outside) / 2
        variance = x * (1 - x) * (1 + half * (1 - x) / (2 - x) + half * x / (1 + x)) / (fakes * reals)
        if (area - x) ** 2 <= spread**2 * variance:
            inside = x
        else:
            outside = x
    return (inside + outside) / 2


def separation_bound(area: float, fake: NDArray[np.bool_], group: Groups, level: float) -> Interval:
    """Returns a bound where the classes don't overlap in the sample: k pairs that share no group, all won (or
    all lost).

    Each is won with the probability A that is sought, so all are with A^k: A is at least (1 - level)/2 to the power
    of 1/k (the disjoint pairs of a U-statistic: Hoeffding, JASA 58:13, 1963).
    """
    with_fakes, with_reals = set(group[fake].tolist()), set(group[~fake].tolist())
    pairs = min(len(with_fakes), len(with_reals), len(with_fakes | with_reals) // 2)
    if not pairs:
        return NONE
    bound = float(((1 - level) / 2) ** (1 / pairs))
    return Interval(bound, 1.0) if area == 1.0 else Interval(0.0, 1.0 - bound)


def share_interval(hit: Floats, group: Groups, level: float = 0.95) -> Interval:
    """Returns the interval of a share: Korn and Graubard (Survey Methodology 24:193, 1998).

    Clopper and Pearson's exact interval at the effective number of rows, which the clustered variance gives; where
    all rows are equal it says nothing, and what the groups are worth takes its place.
    """
    rows, size, worth = len(hit), int(np.unique(group).size), groups_worth(group)
    share = float(hit.mean())
    if share in (0.0, 1.0):
        effective = worth
    else:
        sums = np.bincount(group, hit - share)
        variance = _less_one(size) * float(sums @ sums) / rows**2
        ratio = quantile(rows - 1, level) / quantile(worth - 1, level)
        effective = (
            min(float(rows), share * (1 - share) / variance * ratio**2) if variance > 0 else float(rows)
        )
    tail, hits = (1 - level) / 2, share * effective
    low = float(betaincinv(hits, effective - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, effective - hits, 1 - tail)) if hits < effective else 1.0
    return Interval(low, high)


def mean_interval(value: Floats, group: Groups, freedom: float, level: float = 0.95) -> Interval:
    """Returns the interval of a mean of positive values: `mean_error` and Student's t on the scale of logarithms.

    Where few groups make most of the error, as a few sure mistakes make most of a log loss, it is known less well than
    the number of groups says: no more degrees of freedom are taken than Satterthwaite's (Biometrics Bulletin
    2:110, 1946) from what each group adds.
    """
    mean, moved = float(value.mean()), _moved(value, group)
    error = _jackknife(moved)
    if not mean > 0 or error <= NOTHING * mean:
        return NONE
    squares = moved**2
    freedom = min(freedom, float(squares.sum() ** 2 / (squares @ squares)))
    factor = float(np.exp(quantile(freedom, level) * error / mean))
    return Interval(mean / factor, mean * factor)


def plain_mean_interval(value: Floats, group: Groups, level: float = 0.95) -> Interval:
    """Returns the interval of a mean of any values: `mean_error` and Student's t with the groups that they are worth,
    less one.
    """
    if np.unique(group).size < 2:
        return NONE
    middle, error = float(value.mean()), mean_error(value, group)
    reach = quantile(groups_worth(group) - 1, level) * error
    return Interval(middle - reach, middle + reach) if error > NOTHING * max(abs(middle), 1.0) else NONE


def mean_error(value: Floats, group: Groups) -> float:
    """Returns the standard error of a mean: the jackknife that leaves out one of two or more groups at a time.

    Of groups of one size it is the usual clustered error. A group with many of the values pulls the mean towards itself
    and hides how far it is from the others, which leaving it out shows (Bell and McCaffrey, Survey Methodology 28:169,
    2002).
    """
    return _jackknife(_moved(value, group))


def _moved(value: Floats, group: Groups) -> Floats:
    """Returns by how much the mean falls when a group is left out, (G,)."""
    sizes = np.bincount(group).astype(np.float64)
    sums = np.bincount(group, value - value.mean())[sizes > 0]
    return sums / (len(value) - sizes[sizes > 0])


def _jackknife(moved: Floats) -> float:
    return float(np.sqrt((len(moved) - 1) / len(moved) * (moved @ moved)))


def mean_of_intervals(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Returns the interval of the mean of independent measures from their own intervals.

    Zou and Donner, Statistics in Medicine 27:1693, 2008.
    """
    middle, count = float(np.mean(values)), len(values)
    both = list(zip(values, intervals, strict=True))
    down = math.hypot(*(value - one.low for value, one in both)) / count
    up = math.hypot(*(one.high - value for value, one in both)) / count
    return Interval(middle - down, middle + up)


def logit_interval(share: float, error: float, freedom: float, level: float = 0.95) -> Interval:
    """Returns the interval of a share in (0, 1) from its standard error, symmetric on the logit scale; none
    at 0 and 1.
    """
    if not (0 < share < 1 and error > NOTHING):
        return NONE
    spread = quantile(freedom, level) * error / (share * (1 - share))
    odds, factor = share / (1 - share), float(np.exp(spread))
    return Interval(odds / factor / (1 + odds / factor), 1 / (1 + 1 / (odds * factor)))


def two_sided(difference: float, error: float, freedom: float) -> float:
    """Returns p of a difference from zero by Student's t; 1 where nothing differs."""
    if not error > 0:
        return 1.0
    return float(2 * stdtr(freedom, -abs(difference) / error))
