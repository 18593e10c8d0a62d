"""What every decoder gives, and the two ways in which it can refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError

__all__ = [
    "DecodeFailed",
    "Frame",
    "OpenFailed",
    "Scaled",
    "SoundOnly",
    "TooLarge",
    "VideoError",
    "VideoInfo",
    "VideoReader",
    "reason_of",
]


class VideoError(UserError):
    """A video can't be read; the message is one line."""


class OpenFailed(VideoError):
    """The file is missing, empty, not a video, or absurd; the message says which in one line."""


class TooLarge(OpenFailed):
    """Its frames are beyond what is read (`ffpp_prep.video.budget`)."""


class SoundOnly(OpenFailed):
    """It holds sound, perhaps with a cover picture, and no video."""


class DecodeFailed(VideoError):
    """The decoder can't vouch for the frames that it gives; those given so far are not to be used."""


@dataclass(frozen=True)
class VideoInfo:
    """What the container says; every number is finite, 0 where it is unknown or impossible, and may still be wrong.

    duration: seconds.
    unit: seconds of one unit of `Frame.pts`.
    """

    width: int
    height: int
    fps: float
    frames: int
    duration: float = 0.0
    unit: float = 0.0


@dataclass(frozen=True)
class Scaled:
    """A frame's picture, (H, W, 3) uint8 RGB, maybe smaller than the frame; and the frame's own width and height."""

    picture: NDArray[np.uint8]
    size: tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """One decoded frame: index in display order from 0, presentation time in stream units, picture.

    `rgb()` converts to (H, W, 3) uint8 when asked, so frames that nobody looks at cost only their decoding; where it
    can't, it raises DecodeFailed.
    """

    index: int
    pts: int
    rgb: Callable[[], NDArray[np.uint8]] = field(repr=False)
    timed: bool = True
    """False where the decoder knows no time, and `pts` is the index"""
    size: tuple[int, int] = (0, 0)
    """of the picture, width and height"""
    scaled: Callable[[int], Scaled] | None = field(default=None, repr=False)
    """as `within`, of decoders that scale for less than a whole picture costs"""
    dts: int | None = None
    """when it was to be decoded, in stream units; None where that isn't known"""

    def within(self, longest: int) -> Scaled:
        """Returns the picture with a longer side of at most `longest` pixels, 0 for no limit.

        It is whole where the decoder can't scale. Raises as `rgb`.
        """
        if longest and self.scaled is not None:
            return self.scaled(longest)
        picture = self.rgb()
        return Scaled(picture, (picture.shape[1], picture.shape[0]))


class VideoReader(Protocol):
    """What decodes one video, from its beginning: a context manager to iterate over.

    Attributes:
        frames_decoded: so far.
        error: how it went, known at the end: one line, empty if all was well.
    """

    frames_decoded: int
    error: str

    @property
    def info(self) -> VideoInfo:
        """What the container announces."""
        ...

    def match(self, size: tuple[int, int]) -> None:
        """Gives frames of the size (width, height) that boxes were recorded with, where that can be told."""
        ...

    def __enter__(self) -> VideoReader: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


def reason_of(error: Exception) -> str:
    """Returns what an error says, in one line."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__
