"""The plan of an epoch: which sample stands in which batch (thesis section 4.3).

A plan is a pure function of the settings, the seed and the epoch, so every process and every resumed run sees the same
one. A sample carries all that a loader needs to produce it, its place in the epoch included, which keys the randomness
of its augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_train.config import DataConfig
from dfd_train.data.frames import dual_frames, evaluation_frames, various_frame
from dfd_train.data.selection import Pair


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
    """The batches of one epoch, and how many frames of short videos are substitutes."""

    batches: list[list[Sample]]
    substitutions: int


def plan_epoch(
    config: DataConfig,
    videos: pd.DataFrame,
    pairs: Sequence[Pair],
    *,
    epoch: int,
    total_epochs: int,
    seed: int,
) -> EpochPlan:
    """The batches of `epoch` (from 1): every pair once (various, dual), or frames of every video (shuffled)."""
    planner = _Planner(videos, epoch)
    order = np.random.default_rng([seed, epoch])
    half = config.batch_size // 2
    if config.batches == "various":
        shuffled = [pairs[i] for i in order.permutation(len(pairs))]
        groups = [
            [
                (row, *various_frame(epoch, planner.length(row), total_epochs, config.frame_stride))
                for row in side
            ]
            for side in shuffled
        ]
        frames = [(row, frame) for group in groups for row, frame, _ in group]
        substitutions = sum(substituted for group in groups for _, _, substituted in group)
        return EpochPlan(planner.batches(frames, config.batch_size), substitutions)
    if config.batches == "dual":
        frames, substitutions = [], 0
        for i in order.permutation(len(pairs)):
            for row in pairs[i]:
                chosen, substituted = dual_frames(epoch, planner.length(row), total_epochs, half)
                frames += [(row, frame) for frame in chosen]
                substitutions += substituted
        return EpochPlan(planner.batches(frames, config.batch_size), substitutions)
    frames, substitutions = _all_frames(planner, videos, config.train_frames, order)
    return EpochPlan(
        planner.batches([frames[i] for i in order.permutation(len(frames))], config.batch_size), substitutions
    )


def plan_evaluation(videos: pd.DataFrame, frames_per_video: int, batch_size: int) -> EpochPlan:
    """Equally spaced frames of every video, in the table's order; no video is left out of the last batch."""
    planner = _Planner(videos, epoch=0)
    frames, substitutions = [], 0
    for row in videos.index:
        chosen, substituted = evaluation_frames(planner.length(row), frames_per_video)
        frames += [(row, frame) for frame in chosen]
        substitutions += substituted
    return EpochPlan(planner.batches(frames, batch_size), substitutions)


class _Planner:
    """Turns (row, frame) into samples, in the order in which they are shown."""

    def __init__(self, videos: pd.DataFrame, epoch: int) -> None:
        self._epoch = epoch
        self._labels = videos["label"].to_dict()
        self._lengths = videos["frames_decoded"].to_dict()

    def length(self, row: int) -> int:
        return int(self._lengths[row])

    def batches(self, frames: Sequence[tuple[int, int]], batch_size: int) -> list[list[Sample]]:
        samples = [
            Sample(int(row), int(frame), 0, int(self._labels[row]), self._epoch, position)
            for position, (row, frame) in enumerate(frames)
        ]
        return [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]


def _all_frames(
    planner: _Planner, videos: pd.DataFrame, per_video: int, order: np.random.Generator
) -> tuple[list[tuple[int, int]], int]:
    """`per_video` different frames of every video, drawn anew each epoch; all frames where `per_video` is 0."""
    frames, substitutions = [], 0
    for row in videos.index:
        length = planner.length(row)
        count = min(per_video, length) if per_video else length
        frames += [(row, int(frame)) for frame in np.sort(order.choice(length, count, replace=False))]
        substitutions += max(0, per_video - length)
    return frames, substitutions
