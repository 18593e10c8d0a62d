"""What a score may be taken for: conformal limits at a stated risk, corrected for how often was looked, and competence.

Label-conditional conformal prediction (Vovk, Machine Learning 92:349, 2013): a real video looks at least as much like a
fake as this one with the p-value p. Groups of videos are weighed as hierarchical conformal prediction does (Lee, Barber
and Willett, arXiv 2306.06342, 2023): a new person's video is exchangeable with one drawn from a random group, not with
all videos alike. Of m looks at one file the smallest p-value counts m times (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfd_train.metrics.clustered import Groups
from dfd_train.metrics.scores import Floats

RISK = 0.05
"""of real files at most this share is called fake, and of fakes called real"""
KEPT = 1001


@dataclass(frozen=True)
class ClassValues:
    """Values of one class's validation videos, ascending, with the weights of hierarchical conformal prediction."""

    values: tuple[float, ...]
    weights: tuple[float, ...]
    """of sum 1: each group weighs the same, its videos share that"""
    groups: int

    @classmethod
    def of(cls, value: Floats, group: Groups) -> ClassValues:
        """Makes a sample of values (V,) and their groups (V,); more than 1001 become quantiles of equal weight."""
        if not len(value):
            return cls((), (), 0)
        _, number, sizes = np.unique(group, return_inverse=True, return_counts=True)
        order = np.argsort(value, kind="stable")
        weight = (1.0 / sizes[number] / len(sizes))[order]
        ascending = value[order]
        if len(value) > KEPT:
            shares = (np.arange(KEPT) + 0.5) / KEPT
            at = np.searchsorted(np.cumsum(weight), shares).clip(max=len(value) - 1)
            ascending, weight = ascending[at], np.full(KEPT, 1.0 / KEPT)
        return cls(tuple(ascending.tolist()), tuple(weight.tolist()), len(sizes))

    def share_above(self, value: float) -> float:
        """Returns the groups' mean share of videos whose value is at least this."""
        return float(np.array(self.weights)[np.array(self.values) >= value].sum())

    def p_high(self, value: float) -> float:
        """Returns how often a video of this class has at least this value; never 0: it is one of groups + 1."""
        return float((1 + self.groups * self.share_above(value)) / (self.groups + 1))

    def limit_above(self, risk: float) -> float:
        """Returns the value above which videos of this class lie with probability `risk` at most; inf where
        none is known.
        """
        allowed = ((self.groups + 1) * risk - 1) / self.groups if self.groups else -1.0
        if allowed < -1e-12:
            return float("inf")
        above = np.cumsum(np.array(self.weights)[::-1])  # of this value and all higher ones, from the highest
        place = int(np.searchsorted(above, allowed + 1e-12, "right"))
        return self.values[::-1][place] if place < len(self.values) else float("-inf")

    def limit_below(self, risk: float) -> float:
        """Returns the value below which videos of this class lie with probability `risk` at most; -inf where
        none is known.
        """
        mirrored = ClassValues(tuple(-v for v in self.values[::-1]), self.weights[::-1], self.groups)
        return -mirrored.limit_above(risk)


@dataclass(frozen=True)
class Limits:
    """Values that decide about one file; between them nothing is decided."""

    fake_above: float
    """inf: validation holds too few people to call anything fake at this risk and so many looks"""
    real_below: float

    @classmethod
    def of(cls, reals: ClassValues, fakes: ClassValues, looks: int, risk: float = RISK) -> Limits:
        """Sets the limits at a risk that holds for a whole file.

        looks: how many values the file's is the highest of. More looks make a high value likelier among real files
        only: in a file with a fake, the fake's own value is one of them.
        """
        fake, real = reals.limit_above(risk / max(looks, 1)), fakes.limit_below(risk)
        # where the classes lie apart, what lies between looks like neither
        return cls(max(fake, real), min(fake, real)) if fake < real else cls(fake, real)


def needed_groups(looks: int, risk: float = RISK) -> int:
    """Returns how many real people validation must hold for a file of so many looks to be called fake at all."""
    return int(np.ceil(max(looks, 1) / risk - 1 - 1e-9))
