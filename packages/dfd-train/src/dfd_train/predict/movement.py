"""Whether a face ever changes its expression: pictures, statues and masks don't, however the camera moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dfd_train.metrics.scores import Floats

SURE = 0.3
"""of a mesh with its box: the points of what is less of a face say nothing"""
FEWEST_LOOKS = 8
"""of a face; fewer may all fall between two words"""


class Movement:
    """How far the points of a face's mesh move within the face, told of one look after the other.

    Each look is laid on the first one by shift, turn in space and scale, so that neither camera nor head counts.
    """

    def __init__(self) -> None:
        self.looks = 0
        self._first: Floats = np.zeros(0)
        self._sum: Floats = np.zeros(0)
        self._squares = 0.0

    def add(self, mesh: NDArray[np.float32], sure: float) -> None:
        """Takes the points of a mesh (468, 3), if it is sure enough."""
        if sure >= SURE:
            self._add(_normed(mesh))

    @property
    def spread(self) -> float:
        """The points' distance from their mean place, root of the mean square, in parts of the face's radius; NaN for
        fewer than `FEWEST_LOOKS`.
        """
        if self.looks < FEWEST_LOOKS:
            return float("nan")
        mean = self._sum / self.looks
        return float(np.sqrt(max(self._squares / self.looks - (mean**2).sum(), 0.0) / len(mean)))

    def _add(self, points: Floats) -> None:
        if not self.looks:
            self._first, self._sum = points, np.zeros_like(points)
        laid = points @ _turn(points, self._first)
        self.looks += 1
        self._sum += laid
        self._squares += float((laid**2).sum())


def _normed(points: NDArray[np.float32]) -> Floats:
    """Returns points (N, 3) around zero, with a mean square distance of 1 from it."""
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    normed: Floats = centred / (np.sqrt((centred**2).sum(1).mean()) or 1.0)
    return normed


def _turn(points: Floats, onto: Floats) -> Floats:
    """Returns the rotation that lays points (N, 3) on others, mirrored by none (Kabsch 1976)."""
    left, _, right = np.linalg.svd(points.T @ onto)
    turn: Floats = (left * [1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    return turn
