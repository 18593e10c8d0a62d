"""Faces of one video over time: linking boxes into tracks, and filling frames between detections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

__all__ = ["MIN_IOU", "Linker", "TrackedBox", "between", "iou"]

MIN_IOU = 0.3  # two boxes of one face, a few frames apart, overlap at least this much


@dataclass(frozen=True)
class TrackedBox:
    """One face box of one frame; `rank` 0 is the frame's best-scoring one, `track` -1 before linking."""

    frame: int
    rank: int
    score: float
    x1: float
    y1: float
    x2: float
    y2: float
    track: int = -1
    interpolated: bool = False


def iou(a: TrackedBox, b: TrackedBox) -> float:
    """Returns the intersection over union of two boxes, 0…1."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both)


class Linker:
    """Gives faces the numbers of their tracks, a frame at a time: the pairs of highest overlap first.

    max_gap: a track that was not seen for more frames than this has ended.
    """

    def __init__(self, max_gap: int) -> None:
        self._max_gap = max_gap
        self._heads: dict[int, TrackedBox] = {}  # track -> its latest face
        self._tracks = 0

    def end(self) -> None:
        """Ends every track; the next ones have new numbers."""
        self._heads = {}

    def step(
        self, frame: int, present: list[TrackedBox], alike: Callable[[int, int], bool] = lambda track, i: True
    ) -> list[TrackedBox]:
        """Returns the faces of the next frame, in the same order, with their tracks.

        alike: whether a track may go on with the i-th face present; asked where their boxes overlap.
        """
        self._heads = {
            track: head for track, head in self._heads.items() if frame - head.frame <= self._max_gap
        }
        pairs = sorted(
            (
                (iou(head, face), track, i)
                for track, head in self._heads.items()
                for i, face in enumerate(present)
            ),
            reverse=True,
        )
        chosen: dict[int, int] = {}  # index in `present` -> track
        for overlap, track, i in pairs:
            if overlap >= MIN_IOU and i not in chosen and track not in chosen.values() and alike(track, i):
                chosen[i] = track
        linked = []
        for i, face in enumerate(present):
            if i not in chosen:
                chosen[i] = self._tracks
                self._tracks += 1
            self._heads[chosen[i]] = replace(face, track=chosen[i])
            linked.append(self._heads[chosen[i]])
        return linked


def between(before: list[TrackedBox], after: list[TrackedBox]) -> Iterator[TrackedBox]:
    """Yields the faces of the frames between two detected ones, by linear interpolation along each track.

    Without a common track a frame keeps the faces of the nearer one, so that every frame has a face. They are marked
    `interpolated`; ranks follow the interpolated scores.
    """
    later = {f.track: f for f in after}
    common = [(f, later[f.track]) for f in before if f.track in later]
    first, last = before[0].frame, after[0].frame
    for frame in range(first + 1, last):
        share = (frame - first) / (last - first)
        faces = [_mix(a, b, share, frame) for a, b in common]
        if not faces:
            near = before if share < 0.5 else after
            faces = [replace(f, frame=frame, interpolated=True) for f in near]
        faces.sort(key=lambda f: -f.score)
        yield from (replace(f, rank=rank) for rank, f in enumerate(faces))


def _mix(a: TrackedBox, b: TrackedBox, share: float, frame: int) -> TrackedBox:
    def at(first: float, second: float) -> float:
        return first + (second - first) * share

    return TrackedBox(
        frame,
        0,
        at(a.score, b.score),
        at(a.x1, b.x1),
        at(a.y1, b.y1),
        at(a.x2, b.x2),
        at(a.y2, b.y2),
        a.track,
        interpolated=True,
    )
