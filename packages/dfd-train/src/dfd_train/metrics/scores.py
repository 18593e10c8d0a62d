"""The formulas: labels, scores and weights in, one number out. docs/metrics.md states each once.

`label` is (N,) with 1 = fake and 0 = real, `prob` is (N,) in [0, 1], `weight` is (N,) or (B, N): with B rows
of weights every function returns B numbers at once, which is how the bootstrap stays fast. Where a class
that a formula needs has no weight, the result is NaN, never a number that looks like one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CALIBRATION_BINS = 15


def sigmoid(logit: Floats) -> Floats:
    """Returns the score of a logit, 1 / (1 + e^-z), without overflow: 1 is fake; no calibrated probability."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def cross_entropy_of_logits(label: Floats, logit: Floats) -> Floats:
    """Returns the binary cross-entropy of each logit in nats, (N,): log(1 + e^z) - y z."""
    return np.logaddexp(0.0, logit) - label * logit


def cross_entropy_of_probs(label: Floats, prob: Floats) -> Floats:
    """Returns the binary cross-entropy of each probability in nats, (N,); probabilities stay 2.2e-16 from 0 and 1."""
    eps = float(np.finfo(np.float64).eps)
    clipped = np.clip(prob, eps, 1.0 - eps)
    return -(label * np.log(clipped) + (1.0 - label) * np.log1p(-clipped))


def mean(value: Floats, weight: Floats) -> Floats:
    """Returns the weighted mean of `value`."""
    return _divide(weight @ value, weight.sum(-1))


def accuracy(label: Floats, prob: Floats, weight: Floats, threshold: float = 0.5) -> Floats:
    """Returns the share that is called right; fake is what lies strictly above the threshold."""
    return mean(((prob > threshold) == (label == 1)).astype(np.float64), weight)


def balanced_accuracy(label: Floats, prob: Floats, weight: Floats, threshold: float = 0.5) -> Floats:
    """Returns the mean of the share of fakes called fake and the share of reals called real."""
    right = ((prob > threshold) == (label == 1)).astype(np.float64)
    return (mean(right, weight * label) + mean(right, weight * (1.0 - label))) / 2.0


@dataclass(frozen=True)
class Ranking:
    """Weight of the fakes and of the reals at or above each distinct score, (..., K + 1), from none to all."""

    fakes: Floats
    reals: Floats


def rank(label: Floats, score: Floats, weight: Floats) -> Ranking:
    """Returns what every threshold on `score` would call fake; ties stay together."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    ordered = weight[..., order]
    fakes = np.cumsum(ordered * label[order], axis=-1)[..., ends]
    reals = np.cumsum(ordered * (1.0 - label[order]), axis=-1)[..., ends]
    nothing = np.zeros((*weight.shape[:-1], 1))
    return Ranking(np.concatenate([nothing, fakes], -1), np.concatenate([nothing, reals], -1))


def auc(ranking: Ranking) -> Floats:
    """Returns the area under the ROC curve: the chance that a fake outscores a real one, ties counting one half."""
    fakes, reals = ranking.fakes, ranking.reals
    area = ((fakes[..., 1:] + fakes[..., :-1]) / 2.0 * np.diff(reals, axis=-1)).sum(-1)
    return _divide(area, fakes[..., -1] * reals[..., -1])


def average_precision(ranking: Ranking) -> Floats:
    """Returns the precision averaged over the steps of recall, without interpolation; fake is the positive class."""
    fakes = ranking.fakes
    precision = np.nan_to_num(_divide(fakes, fakes + ranking.reals))[..., 1:]
    return _divide((np.diff(fakes, axis=-1) * precision).sum(-1), fakes[..., -1])


def equal_error_rate(ranking: Ranking) -> Floats:
    """Returns the error where false alarms and misses are equally frequent, on the ROC's straight segments."""
    false_alarm, hit = roc_curve(ranking)
    excess = false_alarm - (1.0 - hit)  # rises from -1 to 1; NaN where a class is absent
    after = np.argmax(excess >= 0, axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    low, high = np.take_along_axis(excess, before, -1), np.take_along_axis(excess, after, -1)
    start, end = np.take_along_axis(false_alarm, before, -1), np.take_along_axis(false_alarm, after, -1)
    return (start + _divide(-low, high - low) * (end - start))[..., 0]


def benchmark_equal_error_rate(ranking: Ranking) -> float:
    """Returns DeepfakeBench's: the false-alarm rate at that corner of the ROC where it is nearest to the rate
    of misses.
    """
    false_alarm, hit = roc_curve(ranking)
    bends = (np.diff(ranking.fakes[1:], 2) != 0) | (np.diff(ranking.reals[1:], 2) != 0)
    corner = np.concatenate([[True, True], bends, [True]])[
        : len(hit)
    ]  # as scikit-learn drops points on a line
    return float(false_alarm[corner][np.argmin(np.abs(1.0 - hit[corner] - false_alarm[corner]))])


def roc_curve(ranking: Ranking) -> tuple[Floats, Floats]:
    """Returns the false-alarm rate and the hit rate, (..., K + 1) each, from (0, 0) to (1, 1), one point a
    distinct score.
    """
    fakes, reals = ranking.fakes, ranking.reals
    return _divide(reals, reals[..., -1:]), _divide(fakes, fakes[..., -1:])


def calibration_error(label: Floats, prob: Floats, weight: Floats) -> Floats:
    """Returns the expected calibration error: |mean probability - share of fakes| over 15 bins, by their weight."""
    bins = np.minimum((prob * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    member = np.eye(CALIBRATION_BINS)[bins]
    return _divide(np.abs((weight * (prob - label)) @ member).sum(-1), weight.sum(-1))


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
