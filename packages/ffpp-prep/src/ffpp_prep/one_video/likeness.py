"""What a video looks like, in a few hundred bytes: the lowest frequencies of some of its frames.

Encoding and scaling leave low frequencies as they are. Cropping doesn't, but what it does to them can be computed, as
it is linear; so the pictures themselves needn't be kept. Which copies are found, and which videos are told apart, is
measured in benchmarks/likeness.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ffpp_prep.video import DecodeFailed, Frame, FrameTimes, VideoInfo

__all__ = ["Likeness", "frame_likeness", "frequencies"]

SIDE = 32  # of the grey thumbnail that is transformed
KEPT = 10  # frequencies along each side
FRAME_BYTES = KEPT * KEPT
FRAMES = 6  # kept at most; half as many at least, of a video that is long enough
FIRST_STEP = 0.2  # seconds between two frames, doubled each time that there are too many
PLAIN = (
    4.0  # standard deviation in grey levels: black frames and the like resemble each other and say nothing
)


class Likeness:
    """Takes frames as they go by: at even times, ever further apart, so that a long video takes no more than FRAMES."""

    def __init__(self, info: VideoInfo) -> None:
        self._times = FrameTimes(info)
        self._step = FIRST_STEP
        self._kept: list[tuple[float, bytes]] = []  # when, and what

    def watched(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Yields the same frames, a few of them looked at on their way."""
        for frame in frames:
            time = self._times.of(frame)
            if self._kept and time < self._kept[-1][0] + self._step - 1e-6:
                yield frame
                continue
            try:
                picture = frame.rgb()
            except DecodeFailed:  # who needs it will find out
                yield frame
                continue
            self._add(time, picture)
            yield replace(frame, rgb=partial(_given, picture))

    def content(self) -> bytes:
        """Returns what is stored: FRAME_BYTES for each frame; empty where none says anything."""
        return b"".join(content for _, content in self._kept)

    def _add(self, time: float, picture: NDArray[np.uint8]) -> None:
        self._kept.append((time, frame_likeness(picture)))
        if len(self._kept) > FRAMES:
            self._step *= 2
            thinned: list[tuple[float, bytes]] = []
            for kept in self._kept:
                if not thinned or kept[0] >= thinned[-1][0] + self._step - 1e-6:
                    thinned.append(kept)
            self._kept = thinned


def _given(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture


def frame_likeness(picture: NDArray[np.uint8]) -> bytes:
    """Returns the lowest frequencies of one RGB picture (H, W, 3), int8 (KEPT, KEPT); empty of a plain one.

    They are roots of their shares of the largest, so that small ones keep some digits. The mean is left out. All sums
    are of whole numbers: those of floats differ in their last digit between processors.
    """
    small = Image.fromarray(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.int64)
    if values.std() < PLAIN:
        return b""
    found = _WHOLE @ values @ _WHOLE.T
    found[0, 0] = 0
    share = found / np.abs(found).max()
    roots = np.rint(127 * np.sign(share) * np.sqrt(np.abs(share))).astype(np.int8)
    return bytes(roots.tobytes())


def frequencies(content: bytes) -> NDArray[np.float32]:
    """Returns what `Likeness.content` stored, (frames, KEPT, KEPT), the largest of each frame 1 or -1."""
    roots = np.frombuffer(content, np.int8).reshape(-1, KEPT, KEPT).astype(np.float32) / 127
    return np.asarray(np.sign(roots) * roots**2, np.float32)


def _cosines() -> NDArray[np.float64]:
    """Returns the orthonormal DCT-II's lowest frequencies, (KEPT, SIDE)."""
    k, n = np.arange(KEPT)[:, None], np.arange(SIDE)[None, :]
    basis: NDArray[np.float64] = np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return basis


COSINES = _cosines()
_WHOLE = np.rint(4096 * COSINES).astype(np.int64)
