"""The plan of an epoch: which sample stands in which batch (thesis section 4.3).

A plan is a pure function of the settings, the seed and the epoch, so every process and every resumed run sees the same
one. A sample carries all that a loader needs to produce it, its place in the epoch included, which keys the randomness
of its augmentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfd_train.data.selection import Pair
from dfd_train.data.several import places_of
from dfd_train.settings.config import DataConfig
from ffpp_prep.format.frames import (
    altered_dual_frames,
    altered_frame,
    benchmark_frames,
    dual_frames,
    evaluation_frames,
    various_frame,
)
from ffpp_prep.format.prepared_videos import altered_by_row
from ffpp_prep.format.segments import Ranges, frame_at

Spot = tuple[int, int]
"""A frame: the video's row and the frame's number."""
Spots = npt.NDArray[np.int32]
"""(N, 2) spots: 8 bytes each, where DFDC's 36 million as tuples would take 6 GB."""


class Sample(NamedTuple):
    """One crop to show: the video's row, the frame, the face, the label and the epoch and position of the showing."""

    video: int
    frame: int
    face: int
    label: int
    epoch: int
    position: int
    blend: bool = False
    """show the frame blended with itself"""

    @property
    def augmented_as(self) -> int:
        """The position that keys its augmentation: a blend gets that of the real frame before it."""
        return self.position - self.blend


class Batches(Sequence[list[Sample]]):
    """The batches of an epoch, kept as arrays and made into samples when they are asked for.

    Args:
        spots: of all samples of the epoch, in the order in which they are shown.
        labels: (N,) int8.
        faces: of each frame the one that is shown, (N,) int8.
        ends: where each batch ends, ascending.
        epoch: from 1; 0 for an evaluation.
        begin: where the first batch begins.
        blended: whether the samples of label 1 are blends of the real frames that stand before them.
    """

    def __init__(
        self,
        spots: Spots,
        labels: npt.NDArray[np.int8],
        faces: npt.NDArray[np.int8],
        ends: npt.NDArray[np.int64],
        epoch: int,
        begin: int = 0,
        *,
        blended: bool = False,
    ) -> None:
        self._spots, self._labels, self._faces = spots, labels, faces
        self._ends, self._epoch, self._begin = ends, epoch, begin
        self._blended = blended

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> list[Sample]: ...
    @overload
    def __getitem__(self, index: slice) -> Batches: ...
    def __getitem__(self, index: int | slice) -> list[Sample] | Batches:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise IndexError(f"step is {step}; allowed: 1")
            ends, begin = self._ends[start:stop], self._start(start)
            return Batches(
                self._spots, self._labels, self._faces, ends, self._epoch, begin, blended=self._blended
            )
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._samples(self._start(index), int(self._ends[index]))

    def __eq__(self, other: object) -> bool:
        """Whether both show the same samples in the same batches."""
        if not isinstance(other, Batches):
            return NotImplemented
        return (
            self._epoch == other._epoch
            and self._begin == other._begin
            and np.array_equal(self._ends, other._ends)
            and np.array_equal(self._spots, other._spots)
            and np.array_equal(self._labels, other._labels)
            and np.array_equal(self._faces, other._faces)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    @property
    def crops(self) -> int:
        """How many samples there are in all batches."""
        return (int(self._ends[-1]) if len(self) else self._begin) - self._begin

    @property
    def spots(self) -> Spots:
        """The row and the frame of every sample, in order."""
        return self._spots[self._begin : self._begin + self.crops]

    @property
    def samples(self) -> list[Sample]:
        """The samples of all batches, in order."""
        return self._samples(self._begin, self._begin + self.crops)

    def _start(self, index: int) -> int:
        return int(self._ends[index - 1]) if index else self._begin

    def _samples(self, start: int, stop: int) -> list[Sample]:
        rows, frames = self._spots[start:stop].T.tolist() if stop > start else ([], [])
        faces, labels = self._faces[start:stop].tolist(), self._labels[start:stop].tolist()
        columns = zip(rows, frames, faces, labels, range(start, stop), strict=True)
        return [
            Sample(row, frame, face, label, self._epoch, place, self._blended and label == 1)
            for row, frame, face, label, place in columns
        ]


@dataclass(frozen=True)
class Shares:
    """How much of an epoch is of which prepared set."""

    starts: tuple[int, ...]
    """the row at which each set begins, ascending"""
    weights: tuple[float, ...]

    def draw(self, rows: npt.NDArray[np.int32], order: np.random.Generator) -> npt.NDArray[np.int64]:
        """Chooses as many of the (N,) units as there are, each set by its weight, and shuffles them.

        Of a set that gets more than it has, each unit is chosen again only after all others of it.
        """
        own = np.searchsorted(self.starts, rows, "right") - 1
        ends = np.round(np.cumsum(self.weights) / sum(self.weights) * len(rows)).astype(np.int64)
        chosen = [np.empty(0, np.int64)]
        for number, share in enumerate(np.diff(ends, prepend=0).tolist()):
            units = np.flatnonzero(own == number)
            while share and len(units):
                chosen.append(order.permutation(units)[:share])
                share -= len(chosen[-1])
        return order.permutation(np.concatenate(chosen))


@dataclass(frozen=True)
class EpochPlan:
    """The batches of one epoch, and what in them is not what the formulas say."""

    batches: Batches
    substitutions: int
    """frames that stand in for others because their video is short"""
    untouched: int = 0
    """frames of fakes that were left out because nothing is manipulated in them"""
    without_face: int = 0
    """frames that were not blended because their landmarks are no face's"""

    @property
    def remarks(self) -> list[str]:
        """What a person should know about it."""
        counts = (
            (self.substitutions, "frames of short videos are substitutes"),
            (self.untouched, "frames of fakes are left out, untouched"),
            (self.without_face, "frames are left out, in which the face mesh finds no face to blend"),
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
    shares: Shares | None = None,
) -> EpochPlan:
    """Returns the batches of `epoch` (from 1): every pair once (various, dual), or frames of every video (shuffled).

    With `shares`, pairs or frames of several sets stand in it by their weights, and it is as long as without.
    Frames in `untouched` are left out, those of pairs together with the real one beside them.
    """
    planner = _Planner(videos, epoch)
    order = np.random.default_rng([seed, epoch])
    if config.batches == "shuffled":
        if config.train_choice == "even" and config.train_frames:
            spots = planner.evaluation(config.train_frames, benchmark=True)
        else:
            spots = planner.drawn(config.train_frames, order)
        if shares is not None:
            spots = spots[shares.draw(spots[:, 0], order)]
        else:
            order.shuffle(spots.view(np.int64).reshape(-1))  # row and frame of a spot together, in place
        kept = spots[~_among(spots, untouched)] if untouched else spots
        return planner.plan(kept, batch_ends(len(kept), config.batch_size), untouched=len(spots) - len(kept))
    each = 1 if config.batches == "various" else config.batch_size // 2
    shown: list[list[tuple[Spot, Spot]]] = []
    left_out = 0
    first = np.array([pair.fake for pair in pairs], np.int32)
    for i in shares.draw(first, order) if shares else order.permutation(len(pairs)):
        fakes, reals = (
            planner.various(row, total_epochs, config.frame_stride)
            if config.batches == "various"
            else planner.dual(row, total_epochs, each)
            for row in pairs[i]
        )
        # without a fake where its altered seconds lie behind what could be decoded
        couples = [(fake, real) for fake, real in zip(fakes, reals, strict=False) if fake not in untouched]
        left_out += each - len(couples)
        if couples:
            shown.append(couples)
    if config.batches == "dual":
        ordered = [spot for couples in shown for side in zip(*couples, strict=True) for spot in side]
        ends = np.cumsum([2 * len(couples) for couples in shown], dtype=np.int64)
    else:
        ordered = [spot for couples in shown for couple in couples for spot in couple]
        ends = batch_ends(len(ordered), config.batch_size)
    return planner.plan(_array(ordered), ends, untouched=left_out)


def plan_evaluation(
    videos: pd.DataFrame, frames_per_video: int, batch_size: int, *, benchmark: bool = False
) -> EpochPlan:
    """Returns equally spaced frames of every video, in the table's order; no video is left out of the last batch.

    `benchmark`: spaced as DeepfakeBench does, from the first frame to the last.
    """
    planner = _Planner(videos, epoch=0)
    spots = planner.evaluation(frames_per_video, benchmark)
    return planner.plan(spots, batch_ends(len(spots), batch_size))


class _Planner:
    """Finds the frames of videos, counts substitutes, and puts (row, frame) into batches."""

    def __init__(self, videos: pd.DataFrame, epoch: int) -> None:
        self._epoch = epoch
        self._rows = videos.index.to_numpy(np.int32)
        self._labels = np.zeros(self._rows.max(initial=-1) + 1, np.int8)  # by row
        self._labels[self._rows] = videos["label"]
        self._lengths = dict(zip(videos.index.tolist(), videos["frames_decoded"].tolist(), strict=True))
        self._altered: dict[int, Ranges] = {}
        if epoch and "fake_segments" in videos:  # evaluation looks at whole films
            self._altered = altered_by_row(videos)
        for row, ranges in self._altered.items():
            self._lengths[row] = sum(stop - first for first, stop in ranges)
        self._places = places_of(videos)
        for row, place in self._places.items():
            if row in self._altered:
                place = place.within(self._altered.pop(row))
            self._places[row], self._lengths[row] = place, len(place.frames)
        self._substitutions = 0

    def various(self, row: int, total_epochs: int, stride: int) -> list[Spot]:
        if row in self._altered:
            count = self._lengths[row]
            return self._spots(row, [altered_frame(self._epoch, count)] if count else [], 0)
        if not self._lengths[row]:
            return []
        frame, substituted = various_frame(self._epoch, self._lengths[row], total_epochs, stride)
        return self._spots(row, [frame], substituted)

    def dual(self, row: int, total_epochs: int, count: int) -> list[Spot]:
        if row in self._altered:
            inside = self._lengths[row]
            return self._spots(row, altered_dual_frames(self._epoch, inside, count) if inside else [], 0)
        if not self._lengths[row]:
            return []
        return self._spots(row, *dual_frames(self._epoch, self._lengths[row], total_epochs, count))

    def evaluation(self, count: int, benchmark: bool) -> Spots:
        choose = benchmark_frames if benchmark else evaluation_frames
        chosen = []
        for row in self._rows.tolist():
            length = int(self._lengths[row])  # 0: its altered seconds lie behind what could be decoded
            frames, substituted = choose(length, count) if length else ([], 0)
            chosen += self._spots(row, frames, substituted)
        return _array(chosen)

    def drawn(self, count: int, order: np.random.Generator) -> Spots:
        """Draws `count` different frames of each video, anew each epoch; takes all of them where `count` is 0."""
        lengths = [int(self._lengths[row]) for row in self._rows.tolist()]
        numbers = [min(count, length) if count else length for length in lengths]
        spots = np.empty((sum(numbers), 2), np.int32)
        spots[:, 0] = np.repeat(self._rows, numbers)
        begin = 0
        for row, length, number in zip(self._rows.tolist(), lengths, numbers, strict=True):
            drawn = order.choice(length, number, replace=False)  # of all, too: the rest is drawn after it
            frames = np.sort(drawn) if number < length else np.arange(length)
            if row in self._altered:
                frames[:] = [frame_at(self._altered[row], index) for index in frames.tolist()]
            elif row in self._places:
                frames[:] = self._places[row].frames[frames]
            spots[begin : begin + number, 1] = frames
            begin += number
            self._substitutions += max(0, count - length)
        return spots

    def plan(self, spots: Spots, ends: npt.NDArray[np.int64], untouched: int = 0) -> EpochPlan:
        labels, faces = self._labels[spots[:, 0]], np.zeros(len(spots), np.int8)
        order = np.argsort(spots[:, 0], kind="stable") if self._places else np.empty(0, np.intp)
        rows = spots[order, 0]
        for row, place in self._places.items():
            own = order[slice(*np.searchsorted(rows, [row, row + 1]))]
            faces[own] = place.faces[np.searchsorted(place.frames, spots[own, 1])]
        return EpochPlan(Batches(spots, labels, faces, ends, self._epoch), self._substitutions, untouched)

    def _spots(self, row: int, frames: list[int], substituted: int) -> list[Spot]:
        self._substitutions += substituted
        if (ranges := self._altered.get(row)) is not None:
            frames = [frame_at(ranges, index) for index in frames]
        elif (place := self._places.get(row)) is not None:
            frames = place.frames[frames].tolist()
        return [(int(row), int(frame)) for frame in frames]


def batch_ends(count: int, size: int) -> npt.NDArray[np.int64]:
    """Returns where batches of `size` samples end; the last one may be smaller."""
    return np.minimum(np.arange(size, count + size, size, dtype=np.int64), count)


def _array(spots: Iterable[Spot]) -> Spots:
    return np.array(list(spots), np.int32).reshape(-1, 2)


def _among(spots: Spots, others: Iterable[Spot]) -> npt.NDArray[np.bool_]:
    keys, known = (_key(array) for array in (spots, _array(others)))
    found: npt.NDArray[np.bool_] = np.isin(keys, known)
    return found


def _key(spots: Spots) -> npt.NDArray[Any]:
    wide = spots.astype(np.int64)
    return (wide[:, 0] << 32) | wide[:, 1]
