"""Pictures as small networks take them: scaled to fit and centred, or a turned square cut out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

_GAP = 2.0  # Pillow first takes means of whole blocks of pixels, until so much is left to scale


@dataclass(frozen=True)
class Fit:
    """Where a picture lies in a square of `side` pixels: scaled by `scale`, moved by `left` and `top`."""

    side: int
    scale: float
    left: float
    top: float

    def to_picture(self, points: Floats) -> Floats:
        """Returns points (..., 2), x and y, from the square's pixels to the picture's."""
        moved: Floats = (points - np.array([self.left, self.top], np.float32)) / np.float32(self.scale)
        return moved


def fitted(picture: Picture, side: int) -> tuple[Floats, Fit]:
    """Scales a picture to fit a square and centres it on zeros.

    Args:
        picture: uint8 (H, W, 3) RGB.
        side: of the square.

    Returns:
        float32 (side, side, 3), -1…1, and where the picture lies in it.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
    image = PIL.Image.fromarray(picture)
    small = image.resize((small_width, small_height), PIL.Image.Resampling.BILINEAR, reducing_gap=_GAP)
    top, left = (side - small_height) // 2, (side - small_width) // 2
    square = np.zeros((side, side, 3), np.float32)
    inside = square[top : top + small_height, left : left + small_width]
    np.multiply(np.asarray(small), np.float32(2 / 255), out=inside)
    inside -= 1
    return square, Fit(side, scale, left, top)


@dataclass(frozen=True)
class TurnedSquare:
    """A square of a picture: its centre and side in pixels, turned clockwise by `angle` radians as seen."""

    x: float
    y: float
    side: float
    angle: float

    def to_picture(self, points: Floats, size: int) -> Floats:
        """Returns points (..., 2) from pixels of the cut square, `size` a side, to the picture's."""
        moved = (points / np.float32(size) - np.float32(0.5)) @ self._axes() + self._centre()
        return moved.astype(np.float32, copy=False)

    def cut(self, picture: Picture, size: int) -> Picture:
        """Cuts the square out, bilinear, black beyond the picture's edges.

        Args:
            picture: uint8 (H, W, 3) RGB.
            size: side of the result in pixels.

        Returns:
            uint8 (size, size, 3).
        """
        reach = self.side * (abs(math.cos(self.angle)) + abs(math.sin(self.angle))) / 2 + 2
        height, width = picture.shape[:2]
        left, right = _within(self.x - reach, width), _within(self.x + reach + 1, width)
        top, bottom = _within(self.y - reach, height), _within(self.y + reach + 1, height)
        if right <= left or bottom <= top:
            return np.zeros((size, size, 3), np.uint8)
        image = PIL.Image.fromarray(picture[top:bottom, left:right])
        shrink = max(1, int(self.side / size))  # fine detail would be aliased: means of whole blocks first
        if shrink > 1:
            image = image.reduce(shrink)
        (a, d), (b, e) = (self._axes() / np.float32(size * shrink)).tolist()
        c, f = ((self._centre() - self._axes().sum(axis=0) / 2 - (left, top)) / shrink).tolist()
        turned = image.transform(
            (size, size),
            PIL.Image.Transform.AFFINE,
            (a, b, c, d, e, f),
            PIL.Image.Resampling.BILINEAR,
        )
        return np.asarray(turned)

    def _axes(self) -> Floats:
        """Returns the square's right and down, each as long as its side, as rows."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]], np.float32) * np.float32(self.side)

    def _centre(self) -> Floats:
        return np.array([self.x, self.y], np.float32)


def _within(value: float, size: int) -> int:
    return min(max(math.floor(value), 0), size)
