"""From a decoded frame to the picture that a player shows: RGB, upright, not mirrored, with square pixels."""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from ffpp_prep.video.budget import too_large
from ffpp_prep.video.interface import DecodeFailed, reason_of

# The same pixels on every processor, so that crops made on different machines are equal.
CONVERSION = Interpolation.BILINEAR | Interpolation.BITEXACT
# Programs that scale a video round its pixels' shape by as much; the squarest of real ones, PAL's, are 16:15.
SQUARE = 1.03
WIDEST = 4.0  # a shape beyond it is a damaged header


def pixel_aspect(stream: Any) -> float:
    """Width through height of a track's pixels: 1 where they are square, nearly so, or of an impossible shape."""
    ratio = float(stream.sample_aspect_ratio or 1)
    shape = max(ratio, 1 / ratio) if ratio > 0 else 1.0
    return ratio if SQUARE < shape <= WIDEST else 1.0


def displayed(frame: av.VideoFrame, aspect: float = 1.0) -> NDArray[np.uint8]:
    """The picture, (H, W, 3) uint8 RGB; pixels that aren't square are stretched along their longer side.

    Raises:
        DecodeFailed: it can't be had.
    """
    try:
        width, height = frame.width, frame.height
        if aspect != 1.0:
            width, height = round(width * max(1.0, aspect)), round(height * max(1.0, 1 / aspect))
        if refusal := too_large(width, height):
            raise ValueError(refusal)
        converted = frame.reformat(width, height, format="rgb24", interpolation=CONVERSION, threads=1)
        return _upright(_array(converted), frame)
    except Exception as error:
        raise DecodeFailed(f"no RGB of a {frame.format.name} frame: {reason_of(error)}") from error


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 to (size, size, 3) uint8, bicubic."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    flags = Interpolation.BICUBIC | Interpolation.BITEXACT
    return _array(frame.reformat(size, size, interpolation=flags, threads=1))


def _upright(picture: NDArray[np.uint8], frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Follows the display matrix to the nearest of its eight kinds: four turns, each of them plain or mirrored."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return picture
    # A point (x, y) of the coded picture is shown at (a x + c y, b x + d y).
    a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _array(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray().astype(np.uint8, copy=False)
