"""What every decoder gives, and the two ways in which it can refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class VideoError(ValueError):
    """A video can't be read; the message is one line."""


class OpenFailed(VideoError):
    """The file is missing, empty, no video, or absurd; the message says which in one line."""


class DecodeFailed(VideoError):
    """The decoder can't vouch for the frames that it gives; those given so far are not to be used."""


@dataclass(frozen=True)
class VideoInfo:
    """What the container says, in displayed orientation. `frames` may be 0 (unknown) or wrong.

    duration: seconds; 0 where it is unknown.
    unit: seconds of one unit of `Frame.pts`; 0 where it is unknown.
    """

    width: int
    height: int
    fps: float
    frames: int
    duration: float = 0.0
    unit: float = 0.0


@dataclass(frozen=True)
class Frame:
    """One decoded frame: index in display order from 0, presentation time in stream units, picture.

    `rgb()` converts to (H, W, 3) uint8 when asked, so frames that nobody looks at cost only their decoding; where it
    can't, it raises DecodeFailed.
    """

    index: int
    pts: int
    rgb: Callable[[], NDArray[np.uint8]] = field(repr=False)
