"""From a detector's box to the crop around it: pure functions, the thesis's rules (section 4.4.1).

Pixel coordinates; `right` and `bottom` are exclusive, as in array slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.format.alignment import aligned, similarity, wanted_points
from ffpp_prep.options import Checked, Range
from ffpp_prep.settings import THESIS_MARGIN, Align, Border

__all__ = [
    "THESIS_MARGIN",
    "Border",
    "CropGeometry",
    "Image",
    "Square",
    "cut",
    "cut_face",
    "expanded_square",
    "points_in_crop",
]

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CropGeometry(Checked):
    """How crops derive from the detector's boxes; the defaults are the thesis's.

    Attributes:
        margin: how much larger than the box the square is.
        border: `clip` to the frame, or `pad` with black beyond it.
        size: side in pixels, 0 for native size.
        align: the template that the face's five points are laid on, instead of the square around its box; the crop
            then shows 1 + margin times the template, and has a size.
    """

    # a file may say any number, and each crop would be as large
    margin: Annotated[float, Range(ge=0, le=10)] = THESIS_MARGIN
    border: Border = "clip"
    size: Annotated[int, Range(ge=0, le=8192)] = 0
    align: Align = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.align and not self.size:
            raise UserError(f"size={self.size}: must be above 0 if align={self.align}")


@dataclass(frozen=True)
class Square:
    """A square region of a frame; it may reach beyond the frame's edges."""

    top: int
    bottom: int
    left: int
    right: int


def cut_face(
    frame: Image,
    box: tuple[float, float, float, float],
    geometry: CropGeometry,
    points: NDArray[np.floating] | None = None,
) -> Image:
    """Cuts a face out of a frame: the box is expanded, made square, clipped or padded, and resized where asked.

    Args:
        frame: (H, W, 3) uint8 RGB.
        box: x1, y1, x2, y2 in pixels, as the detector gave it.
        geometry: how the crop derives from it.
        points: (5, 2) the face's points, needed where the geometry aligns it.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    if geometry.align:
        if points is None:
            raise ValueError("a face without points can't be aligned")
        return aligned(frame, points, geometry.align, geometry.size, 1 + geometry.margin)
    crop = cut(frame, expanded_square(*box, geometry.margin), geometry.border)
    if not geometry.size:
        return crop
    from ffpp_prep.video import resized  # with the decoder, which who only reads tables does without

    return resized(crop, geometry.size)


def points_in_crop(
    points: NDArray[np.floating],
    box: tuple[float, float, float, float],
    geometry: CropGeometry,
    five: NDArray[np.floating] | None = None,
    frame_size: tuple[int, int] = (0, 0),
) -> NDArray[np.float64]:
    """Returns where points of a frame lie in the crop that `cut_face` makes of it.

    Args:
        points: (N, 2) x, y in pixels of the frame, whole numbers in their middles.
        box: as for `cut_face`.
        geometry: as for `cut_face`.
        five: (5, 2) the points that an aligned crop is cut by; needed where the geometry aligns it.
        frame_size: width and height; 0 where they aren't known, for which a resized crop at the frame's right or
            lower edge is taken for a whole square.

    Returns:
        (N, 2) x, y in pixels of the crop; some may lie outside.
    """
    if geometry.align:
        if five is None:
            raise ValueError("a face without points can't be aligned")
        forth = similarity(five, wanted_points(geometry.align, geometry.size, 1 + geometry.margin))
        turned: NDArray[np.float64] = points @ forth[:, :2].T + forth[:, 2]
        return turned
    square = expanded_square(*box, geometry.margin)
    left, top, right, bottom = square.left, square.top, square.right, square.bottom
    if geometry.border == "clip":
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, frame_size[0] or right), min(bottom, frame_size[1] or bottom)
    placed = points.astype(np.float64) - (left, top)
    if not geometry.size:
        return placed
    # A pixel's middle is half a pixel from its corner, in the frame and in the crop.
    return (placed + 0.5) * geometry.size / (max(right - left, 1), max(bottom - top, 1)) - 0.5


def expanded_square(x1: float, y1: float, x2: float, y2: float, margin: float = THESIS_MARGIN) -> Square:
    """Returns the square around a face box that a crop shows.

    The box is truncated to integers, each dimension grows by `int(margin * size / 2)` on both sides, and the
    smaller dimension is extended to the larger one, `int(diff / 2)` before and `int((diff + 1) / 2)` behind.
    """
    left, top, right, bottom = int(x1), int(y1), int(x2), int(y2)
    grow_x, grow_y = int(margin * (right - left) / 2), int(margin * (bottom - top) / 2)
    left, right = left - grow_x, max(right + grow_x, left - grow_x + 1)
    top, bottom = top - grow_y, max(bottom + grow_y, top - grow_y + 1)
    diff = (right - left) - (bottom - top)
    if diff > 0:
        top, bottom = top - diff // 2, bottom + (diff + 1) // 2
    else:
        left, right = left - -diff // 2, right + (-diff + 1) // 2
    return Square(top, bottom, left, right)


def cut(frame: Image, square: Square, border: Border = "clip") -> Image:
    """Cuts a square out of a frame.

    Args:
        frame: (H, W, 3) uint8.
        square: where; parts beyond the frame are dropped (`clip`) or black (`pad`).

    Returns:
        a copy, (h, w, 3) uint8; h = w unless clipped; at least one pixel.
    """
    height, width = frame.shape[:2]
    top, left = min(max(square.top, 0), height - 1), min(max(square.left, 0), width - 1)
    bottom, right = max(min(square.bottom, height), top + 1), max(min(square.right, width), left + 1)
    inside = frame[top:bottom, left:right]
    if border == "clip":
        return np.ascontiguousarray(inside)
    padded = np.zeros((square.bottom - square.top, square.right - square.left, 3), np.uint8)
    region = padded[max(top - square.top, 0) :, max(left - square.left, 0) :]
    region[: inside.shape[0], : inside.shape[1]] = inside[: region.shape[0], : region.shape[1]]
    return padded
