"""From a detector's box to the crop around it: the rules of thesis section 4.4.1, as ffpp-prep applies them.

Written here again so that dfd-train can cut a crop from a video by itself; a test holds both to the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CropGeometry:
    """How crops derive from the detector's boxes; the defaults are the thesis's."""

    margin: float = 0.3
    """how much larger than the box the square is"""
    border: str = "clip"
    """clip to the frame, or pad with black beyond it"""
    size: int = 0
    """side in pixels, 0 for native size"""
    rule: Literal["square", "box", "aligned", "frame"] = "square"
    """square: the thesis's; box: each side grows by its own length; aligned: by five points; frame: the whole picture.
    Those of published detectors are in `data.cuts`."""
    whole_pixels: bool = False
    """box: its corners are cut to whole pixels before it grows, and not after"""
    template: Literal["", "deepfakebench", "gend"] = ""
    """aligned: where the five points come to lie"""
    scale: float = 1.3
    """aligned: how much more than the template is shown"""


def cut_face(frame: Image, box: tuple[float, float, float, float], geometry: CropGeometry) -> Image:
    """The crop of a face: `frame` (H, W, 3) uint8 RGB, `box` x1, y1, x2, y2 in pixels -> (h, w, 3) uint8.

    The box is truncated to integers, expanded by the margin, made square, then clipped or padded, then resized.
    """
    top, bottom, left, right = _square(box, geometry.margin)
    height, width = frame.shape[:2]
    rows = slice(min(max(top, 0), height - 1), max(min(bottom, height), min(max(top, 0), height - 1) + 1))
    columns = slice(min(max(left, 0), width - 1), max(min(right, width), min(max(left, 0), width - 1) + 1))
    crop = np.ascontiguousarray(frame[rows, columns])
    if geometry.border == "pad":
        padded = np.zeros((bottom - top, right - left, 3), np.uint8)
        region = padded[max(rows.start - top, 0) :, max(columns.start - left, 0) :]
        region[: crop.shape[0], : crop.shape[1]] = crop[: region.shape[0], : region.shape[1]]
        crop = padded
    return _resize(crop, geometry.size) if geometry.size else crop


def _square(box: tuple[float, float, float, float], margin: float) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the expanded square; it may reach beyond the frame."""
    left, top, right, bottom = map(int, box)
    left, right = _expand(left, right, margin)
    top, bottom = _expand(top, bottom, margin)
    missing = (right - left) - (bottom - top)
    if missing > 0:
        top, bottom = top - missing // 2, bottom + (missing + 1) // 2
    else:
        left, right = left - -missing // 2, right + (-missing + 1) // 2
    return top, bottom, left, right


def _expand(low: int, high: int, margin: float) -> tuple[int, int]:
    grow = int(margin * (high - low) / 2)
    return low - grow, max(high + grow, low - grow + 1)


def _resize(crop: Image, size: int) -> Image:
    """To (size, size, 3), bicubic by FFmpeg's scaler in its bit-exact mode."""
    flags = Interpolation.BICUBIC | Interpolation.BITEXACT
    frame: Any = av.VideoFrame.from_ndarray(crop, format="rgb24")
    resized: Image = frame.reformat(size, size, interpolation=flags, threads=1).to_ndarray()
    return resized
