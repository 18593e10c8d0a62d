"""The plan of an epoch: which sample stands in which batch (thesis section 4.3).

A plan is a pure function of the settings, the seed and the epoch, so every process and every resumed run sees the same
one. A sample carries all that a loader needs to produce it, its place in the epoch included, which keys the randomness
of its augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_train.config import DataConfig
from dfd_train.data.frames import benchmark_frames, dual_frames, evaluation_frames, various_frame
from dfd_train.data.selection import Pair

Spot = tuple[int, int]
"""A frame: the video's row and the frame's number."""


class Sample(NamedTuple):
    """One crop to show: the video's row, the frame, the face, the label and the epoch and position of the showing."""

    video: int
    frame: int
    face: int
    label: int
    epoch: int
    position: int


@dataclass(frozen=True)
class EpochPlan:
    """The batches of one epoch, and what in them is not what the formulas say."""

    batches: list[list[Sample]]
    substitutions: int
    """frames that stand in for others because their video is short"""
    untouched: int = 0
    """frames of fakes that were left out because nothing is manipulated in them"""

    @property
    def remarks(self) -> list[str]:
        """What a person should know about it."""
        counts = (
            (self.substitutions, "frames of short videos are substitutes"),
            (self.untouched, "frames of fakes are left out, untouched"),
        )
        return [f"{count} {what}" for count, what in counts if count]


def plan_epoch(
    config: DataConfig,
    videos: pd.DataFrame,
    pairs: Sequence[Pair],
    *,
    epoch: int,
    total_epochs: int,
    seed: int,
    untouched: frozenset[Spot] = frozenset(),
) -> EpochPlan:
    """The batches of `epoch` (from 1): every pair once (various, dual), or frames of every video (shuffled).

    Frames in `untouched` are left out, those of pairs together with the real one beside them.
    """
    planner = _Planner(videos, epoch)
    order = np.random.default_rng([seed, epoch])
    if config.batches == "shuffled":
        spots = [spot for row in videos.index for spot in planner.drawn(row, config.train_frames, order)]
        kept = [spots[i] for i in order.permutation(len(spots)) if spots[i] not in untouched]
        return planner.plan(_chunks(kept, config.batch_size), untouched=len(spots) - len(kept))
    each = 1 if config.batches == "various" else config.batch_size // 2
    shown: list[list[tuple[Spot, Spot]]] = []
    left_out = 0
    for i in order.permutation(len(pairs)):
        fakes, reals = (
            planner.various(row, total_epochs, config.frame_stride)
            if config.batches == "various"
            else planner.dual(row, total_epochs, each)
            for row in pairs[i]
        )
        couples = [(fake, real) for fake, real in zip(fakes, reals, strict=True) if fake not in untouched]
        left_out += each - len(couples)
        shown.append(couples)
    if config.batches == "dual":
        batches = [
            [*(fake for fake, _ in couples), *(real for _, real in couples)] for couples in shown if couples
        ]
    else:
        batches = _chunks(
            [spot for couples in shown for couple in couples for spot in couple], config.batch_size
        )
    return planner.plan(batches, untouched=left_out)


def plan_evaluation(
    videos: pd.DataFrame, frames_per_video: int, batch_size: int, *, benchmark: bool = False
) -> EpochPlan:
    """Equally spaced frames of every video, in the table's order; no video is left out of the last batch.

    `benchmark`: spaced as DeepfakeBench does, from the first frame to the last.
    """
    planner = _Planner(videos, epoch=0)
    spots = [spot for row in videos.index for spot in planner.evaluation(row, frames_per_video, benchmark)]
    return planner.plan(_chunks(spots, batch_size))


class _Planner:
    """Finds the frames of videos, counts substitutes, and turns (row, frame) into samples."""

    def __init__(self, videos: pd.DataFrame, epoch: int) -> None:
        self._epoch = epoch
        self._labels = videos["label"].to_dict()
        self._lengths = videos["frames_decoded"].to_dict()
        self._substitutions = 0

    def various(self, row: int, total_epochs: int, stride: int) -> list[Spot]:
        frame, substituted = various_frame(self._epoch, self._lengths[row], total_epochs, stride)
        return self._spots(row, [frame], substituted)

    def dual(self, row: int, total_epochs: int, count: int) -> list[Spot]:
        return self._spots(row, *dual_frames(self._epoch, self._lengths[row], total_epochs, count))

    def evaluation(self, row: int, count: int, benchmark: bool) -> list[Spot]:
        choose = benchmark_frames if benchmark else evaluation_frames
        return self._spots(row, *choose(int(self._lengths[row]), count))

    def drawn(self, row: int, count: int, order: np.random.Generator) -> list[Spot]:
        """`count` different frames of a video, drawn anew each epoch; all of them where `count` is 0."""
        length = int(self._lengths[row])
        number = min(count, length) if count else length
        frames = np.sort(order.choice(length, number, replace=False)).tolist()
        return self._spots(row, frames, max(0, count - length))

    def plan(self, batches: list[list[Spot]], untouched: int = 0) -> EpochPlan:
        position = count()
        samples = [
            [
                Sample(row, frame, 0, int(self._labels[row]), self._epoch, next(position))
                for row, frame in batch
            ]
            for batch in batches
        ]
        return EpochPlan(samples, self._substitutions, untouched)

    def _spots(self, row: int, frames: list[int], substituted: int) -> list[Spot]:
        self._substitutions += substituted
        return [(int(row), int(frame)) for frame in frames]


def _chunks(spots: list[Spot], size: int) -> list[list[Spot]]:
    return [spots[start : start + size] for start in range(0, len(spots), size)]
