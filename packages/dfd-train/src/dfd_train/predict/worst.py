"""The frames of each face that look most like a fake, kept as crops, and what an explanation of them says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import PIL.Image

from dfd_train.predict.faces import Advance
from ffpp_prep.format.geometry import Image

A_TRACK = 3  # frames kept of a face
TRACKS = 8  # faces of which they are kept: those with the highest frame
LARGEST = 600  # pixels of a crop's longer side, above which it is kept smaller: no network here takes more


@dataclass(frozen=True)
class WorstFrame:
    """One face in one frame: uint8 (h, w, 3) RGB, its time in seconds and its logit."""

    time: float
    logit: float
    crop: Image


@dataclass(frozen=True)
class Explanation:
    """What moved a model in the worst frames of the most suspicious face, and whether the marks are worth anything.

    Deletion and insertion are areas below the probability of fake while the most marked places are covered, or laid
    into a blurred crop: means over the frames, of the explanation and of a spot in the middle, which knows nothing of
    the model. See docs/metrics.md, "Explanations against masks".
    """

    face: int
    method: str
    model: str
    times: tuple[float, ...]
    """of the frames, in seconds, the highest first"""
    worth: str
    """one sentence; empty where there is no explanation; so below"""
    reason: str
    """why there is none; empty where there is"""
    deletion: float | None = None
    deletion_middle: float | None = None
    insertion: float | None = None
    insertion_middle: float | None = None


@dataclass(frozen=True)
class Marked:
    """A frame's crop and the same with the explanation, as JPEG."""

    time: float
    logit: float
    crop: bytes
    marked: bytes


class Explainer(Protocol):
    """Explains what moved a model."""

    def __call__(
        self, face: int, frames: Sequence[WorstFrame], advance: Advance = ..., /
    ) -> tuple[Explanation, tuple[Marked, ...]]:
        """Returns the explanation of a face by its worst frames; `advance` is called with how many are done, and how
        many there are.
        """
        ...


class WorstFrames:
    """Collects them; in bounded memory however many faces there are."""

    def __init__(self) -> None:
        self._tracks: dict[int, list[WorstFrame]] = {}

    def add(self, track: int, crop: Image, time: float, logit: float) -> None:
        """Offers one crop to those that are kept."""
        own = self._tracks.setdefault(track, [])
        if len(own) < A_TRACK or logit > own[-1].logit:
            own.append(WorstFrame(time, logit, _bounded(crop)))
            own.sort(key=lambda frame: -frame.logit)
            del own[A_TRACK:]
        if len(self._tracks) > TRACKS:
            del self._tracks[min(self._tracks, key=lambda number: self._tracks[number][0].logit)]

    def of(self, track: int) -> tuple[WorstFrame, ...]:
        """Returns the worst frames of a track, the highest first; none of one that others displaced."""
        return tuple(self._tracks.get(track, ()))


def _bounded(crop: Image) -> Image:
    longest = max(crop.shape[:2])
    if longest <= LARGEST:
        return crop
    height, width = (round(side * LARGEST / longest) for side in crop.shape[:2])
    return np.asarray(PIL.Image.fromarray(crop).resize((width, height), PIL.Image.Resampling.BOX))
