"""Pictures as small networks take them: scaled to fit and centred, or a turned square cut out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

GAP = 2.0  # Pillow first takes means of whole blocks of pixels, until so much is left to scale


@dataclass(frozen=True)
class Fit:
    """Where a picture lies in a square: scaled by `scale` to `small`, height and width, moved by `left` and `top`."""

    scale: float
    small: tuple[int, int]
    left: int
    top: int

    @classmethod
    def of(cls, height: int, width: int, side: int) -> Fit:
        """Returns the place of a picture of this size in a square of `side` pixels."""
        scale = side / max(height, width)
        small = max(1, round(height * scale)), max(1, round(width * scale))
        return cls(scale, small, (side - small[1]) // 2, (side - small[0]) // 2)

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
    fit = Fit.of(picture.shape[0], picture.shape[1], side)
    height, width = fit.small
    image = PIL.Image.fromarray(picture)
    small = image.resize((width, height), PIL.Image.Resampling.BILINEAR, reducing_gap=GAP)
    square = np.zeros((side, side, 3), np.float32)
    inside = square[fit.top : fit.top + height, fit.left : fit.left + width]
    np.multiply(np.asarray(small), np.float32(2 / 255), out=inside)
    inside -= 1
    return square, fit


@dataclass(frozen=True)
class Cut:
    """How a turned square is sampled: from which rectangle of the picture, and by which map.

    Attributes:
        left, top, right, bottom: of the rectangle, in the picture's pixels.
        shrink: fine detail would be aliased: means of blocks of so many pixels a side are sampled instead.
        affine: a, b, c, d, e, f: the pixel whose centre is x, y shows ax + by + c, dx + ey + f of the shrunk rectangle.
    """

    left: int
    top: int
    right: int
    bottom: int
    shrink: int
    affine: tuple[float, float, float, float, float, float]

    @property
    def empty(self) -> bool:
        """Whether nothing of the picture is in it."""
        return self.right <= self.left or self.bottom <= self.top

    def shrunk(self) -> Cut:
        """Returns how the shrunk rectangle itself is sampled."""
        width, height = (
            -(-(self.right - self.left) // self.shrink),
            -(-(self.bottom - self.top) // self.shrink),
        )
        return Cut(0, 0, width, height, 1, self.affine)


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
        cut = self.plan(picture.shape[0], picture.shape[1], size)
        if cut.empty:
            return np.zeros((size, size, 3), np.uint8)
        image = PIL.Image.fromarray(picture[cut.top : cut.bottom, cut.left : cut.right])
        if cut.shrink > 1:
            image = image.reduce(cut.shrink)
        bilinear = PIL.Image.Resampling.BILINEAR
        return np.asarray(image.transform((size, size), PIL.Image.Transform.AFFINE, cut.affine, bilinear))

    def plan(self, height: int, width: int, size: int) -> Cut:
        """Returns how it is cut out of a picture of this height and width, to `size` pixels a side."""
        reach = self.side * (abs(math.cos(self.angle)) + abs(math.sin(self.angle))) / 2 + 2
        left, right = _within(self.x - reach, width), _within(self.x + reach + 1, width)
        top, bottom = _within(self.y - reach, height), _within(self.y + reach + 1, height)
        shrink = max(1, int(self.side / size))
        (a, d), (b, e) = (self._axes() / np.float32(size * shrink)).tolist()
        c, f = ((self._centre() - self._axes().sum(axis=0) / 2 - (left, top)) / shrink).tolist()
        return Cut(left, top, right, bottom, shrink, (a, b, c, d, e, f))

    def _axes(self) -> Floats:
        """Returns the square's right and down, each as long as its side, as rows."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]], np.float32) * np.float32(self.side)

    def _centre(self) -> Floats:
        return np.array([self.x, self.y], np.float32)


def _within(value: float, size: int) -> int:
    return min(max(math.floor(value), 0), size)
