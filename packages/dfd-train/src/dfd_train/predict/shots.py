"""Where one shot ends and the next begins: by colours and places of thumbnails of neighbouring frames.

`benchmarks/cuts.py` measures precision and recall, beside PySceneDetect's.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.video import Frame

COLOURS, PLACES = 0.25, 0.09
"""of two neighbouring frames' distances, 0 to 1 each: the colours' alone, or both together, make a cut"""
LOUDER = 3.0
"""a cut differs by so many times what the frames before it did, which tells it from shaking and fast movement"""
REMEMBERED = 12


THUMBNAIL = (36, 64)
"""height and width, whatever the frame's are"""


def thumbnail(frame: Frame) -> NDArray[np.uint8]:
    """Returns a frame as (36, 64, 3) uint8, cheaply if the decoder scales. Raises as `Frame.rgb` does."""
    picture = frame.within(2 * max(THUMBNAIL)).picture
    sides = zip(THUMBNAIL, picture.shape[:2], strict=True)
    rows, columns = ((np.arange(count) * side + side // 2) // count for count, side in sides)
    small: NDArray[np.uint8] = picture[rows[:, None], columns]
    return small


class ShotChanges:
    """Told of a video's frames one after the other, says which are the first of a new shot."""

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._recent: deque[float] = deque(maxlen=REMEMBERED)

    def step(self, frame: Frame) -> bool:
        """Returns whether a cut lies before this frame; the first is none. Raises as `Frame.rgb`."""
        small = thumbnail(frame)
        now = _colours(small), _places(small)
        if self._before is None:
            self._before = now
            return False
        colours = float(np.abs(now[0] - self._before[0]).sum()) / 2
        places = float(np.abs(now[1] - self._before[1]).mean())
        self._before = now
        usual = float(np.median(self._recent)) if self._recent else 0.0
        cut = places > max(PLACES, LOUDER * usual) or (colours > COLOURS and places > LOUDER * usual)
        if cut:
            self._recent.clear()
        else:
            self._recent.append(places)
        return cut


def _colours(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns shares of 8 x 8 x 8 colours, (512,)."""
    eighth = (small >> 5).astype(np.int64)
    index = (eighth[..., 0] << 6) | (eighth[..., 1] << 3) | eighth[..., 2]
    shares: NDArray[np.float64] = np.bincount(index.ravel(), minlength=512) / index.size
    return shares


def _places(small: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns the mean colours of 9 x 16 places, 0 to 1: small movements hardly change them."""
    means: NDArray[np.float64] = small.reshape(9, 4, 16, 4, 3).mean((1, 3)) / 255.0
    return means
