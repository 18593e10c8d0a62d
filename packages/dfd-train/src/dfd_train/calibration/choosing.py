"""Which scale: the one that errs least on people that it was not fitted on, by cross-validation inside validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfd_train.calibration.scales import (
    METHODS,
    Method,
    Scale,
    class_weights,
    cross_entropies,
    fit_scale,
    targets,
)
from dfd_train.metrics.clustered import Groups
from dfd_train.metrics.scores import Floats

FOLDS = 5


@dataclass(frozen=True)
class ScaleTrial:
    """A scale's cross-entropy on held-out groups, in nats, and its standard error over folds."""

    method: Method
    loss: float
    error: float


@dataclass(frozen=True)
class ChosenScale:
    """The scale that was taken, fitted on all videos, and what was tried; nothing where there were too few groups."""

    scale: Scale
    tried: tuple[ScaleTrial, ...]


def choose_scale(value: Floats, fake: np.ndarray, group: Groups, seed: int = 0) -> ChosenScale:
    """Returns the simplest scale whose held-out loss lies within one standard error of the best one's.

    Five folds of groups, so that nobody stands on both sides (the rule of one standard error: Breiman et al.,
    Classification and Regression Trees, 1984). With fewer than five groups of a class it is the temperature.
    """
    folds = _folds(fake, group, seed)
    if folds is None:
        return ChosenScale(fit_scale("temperature", value, fake), ())
    losses = {method: _held_out(method, value, fake, folds) for method in METHODS}
    tried = tuple(
        ScaleTrial(method, float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5))
        for method, each in losses.items()
    )
    best = min(tried, key=lambda one: one.loss)
    # the error of the difference to the best, fold by fold: what folds have in common is no doubt about the choice
    for one in tried:
        gap = losses[one.method] - losses[best.method]
        if one == best or gap.mean() <= gap.std(ddof=1) / len(gap) ** 0.5:
            return ChosenScale(fit_scale(one.method, value, fake), tried)
    raise AssertionError("the best is among those tried")


def _folds(fake: np.ndarray, group: Groups, seed: int) -> Groups | None:
    """Returns a fold for each video, (V,); None where a class has fewer groups than there are folds.

    Groups that hold fakes only, reals only and both are dealt out apart, so that each fold has its share of them.
    """
    number = np.unique(group, return_inverse=True)[1]
    size = int(number.max()) + 1
    has_fake, has_real = (np.bincount(number, each, size) > 0 for each in (fake, ~fake))
    if min(has_fake.sum(), has_real.sum()) < FOLDS:
        return None
    random, fold, start = np.random.default_rng(seed), np.zeros(size, np.int64), 0
    for kind in (has_fake & has_real, has_fake & ~has_real, has_real & ~has_fake):
        members = random.permutation(np.flatnonzero(kind))
        fold[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)
    found: Groups = fold[number]
    return found


def _held_out(method: Method, value: Floats, fake: np.ndarray, folds: Groups) -> Floats:
    """Returns the loss of each fold under the scale of the others, both classes weighing alike, (FOLDS,)."""
    losses, target = [], targets(fake)
    for fold in range(FOLDS):
        out = folds == fold
        if not (fake[out].any() and (~fake[out]).any()):
            continue
        scale = fit_scale(method, value[~out], fake[~out])
        losses.append(class_weights(fake[out]) @ cross_entropies(scale, value[out], target[out]))
    return np.array(losses)
