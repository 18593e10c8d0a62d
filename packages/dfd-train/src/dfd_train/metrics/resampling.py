"""Standard errors of measures that have no formula for groups: the bootstrap of groups, over one sort of the rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dfd_train.metrics.clustered import Groups
from dfd_train.metrics.scores import Floats
from ffpp_prep.machine import cores
from ffpp_prep.text.bars import bar

AT_ONCE = 250_000
"""weights held at a time: they stay in the processor's cache"""
THREADS = 4


class Ranked:
    """Average precision and equal error rate of one table of scores under any weights of its groups."""

    def __init__(self, label: Floats, score: Floats, group: Groups) -> None:
        order = np.argsort(-score, kind="stable")
        last = np.append(np.diff(score[order]) != 0, True)  # of equal scores
        self._ends = None if last.all() else np.flatnonzero(last)
        self._group = group[order].astype(np.int32)
        self._fake = (label[order] == 1).astype(np.int32)

    def __call__(self, weight: NDArray[np.int32]) -> tuple[Floats, Floats]:
        """Returns both measures, (B,) each, for weights (B, G); both classes have weight."""
        drawn = np.take(weight, self._group, axis=1)
        every = np.cumsum(drawn, axis=1, dtype=np.int32)
        np.multiply(drawn, self._fake, out=drawn)
        fakes = np.cumsum(drawn, axis=1, dtype=np.int32)
        if self._ends is not None:
            every, fakes = every[:, self._ends], fakes[:, self._ends]
            drawn = np.diff(fakes, axis=1, prepend=0)
        return self._average_precision(drawn, fakes, every), self._equal_error_rate(fakes, every)

    @staticmethod
    def _average_precision(
        new: NDArray[np.int32], fakes: NDArray[np.int32], every: NDArray[np.int32]
    ) -> Floats:
        precision = np.divide(fakes, np.maximum(every, 1), dtype=np.float64)
        total: Floats = np.einsum("ij,ij->i", precision, new) / fakes[:, -1]
        return total

    @staticmethod
    def _equal_error_rate(fakes: NDArray[np.int32], every: NDArray[np.int32]) -> Floats:
        """Finds `scores.equal_error_rate` by bisection: false alarms less misses rise along the ranking."""
        row = np.arange(len(fakes))
        hits, alarms = fakes[:, -1].astype(np.float64), (every[:, -1] - fakes[:, -1]).astype(np.float64)

        def rates(place: NDArray[np.int64]) -> tuple[Floats, Floats]:
            at = np.maximum(place, 0)
            fake, real = fakes[row, at], every[row, at] - fakes[row, at]
            alarm = np.where(place < 0, 0.0, real / alarms)
            return alarm, alarm - 1.0 + np.where(place < 0, 0.0, fake / hits)

        low, high = np.zeros(len(row), np.int64), np.full(len(row), fakes.shape[1] - 1)
        while (low < high).any():
            middle = (low + high) // 2
            reached = rates(middle)[1] >= 0
            low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        (start, before), (end, after) = rates(low - 1), rates(low)
        value: Floats = start - before / (after - before) * (end - start)
        return value


def standard_errors(
    label: Floats, score: Floats, group: Groups, resamples: int, seed: int
) -> tuple[float, float]:
    """Returns the standard errors of average precision and of the equal error rate: groups drawn with replacement.

    Groups that hold only reals, only fakes, or both are drawn apart, each kind as many as there are, to keep the
    share of fakes. Two threads give the numbers of one. Both classes must be there, in two groups or more.
    """
    ranked = Ranked(label, score, group)
    kinds = _kinds(label, group)
    size = max(1, min(resamples, AT_ONCE // len(label)))
    parts = [min(size, resamples - start) for start in range(0, resamples, size)]
    seeds = np.random.SeedSequence(seed).spawn(len(parts))

    def measure(part: int) -> tuple[Floats, Floats]:
        return ranked(_draw(kinds, parts[part], np.random.default_rng(seeds[part])))

    def measured() -> Iterator[tuple[Floats, Floats]]:
        threads = min(THREADS, cores(), len(parts))
        if threads == 1 or len(label) < AT_ONCE:
            yield from map(measure, range(len(parts)))
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(measure, range(len(parts)))

    found = []
    with bar(total=resamples, desc="intervals", unit="resample", leave=False, delay=2) as progress:
        for one in measured():
            found.append(one)
            progress.update(len(one[0]))
    precision, error_rate = (np.concatenate(each) for each in zip(*found, strict=True))
    return float(np.nanstd(precision, ddof=1)), float(np.nanstd(error_rate, ddof=1))


def _kinds(label: Floats, group: Groups) -> Groups:
    """Returns each group's kind: 1 fakes only, 2 reals only, 3 both; all are 1 if a kind has a single group."""
    size = int(group.max()) + 1
    fakes, rows = np.bincount(group, label == 1, size), np.bincount(group, minlength=size)
    kinds: Groups = (fakes > 0) + 2 * (rows > fakes)
    return np.ones_like(kinds) if (np.bincount(kinds) == 1).any() else kinds


def _draw(kinds: Groups, resamples: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Returns how often each group is drawn, (resamples, G)."""
    weight = np.zeros((resamples, len(kinds)), np.int32)
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        drawn = random.integers(len(members), size=(resamples, len(members)))
        drawn += np.arange(resamples)[:, None] * len(members)
        weight[:, members] = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
    return weight
