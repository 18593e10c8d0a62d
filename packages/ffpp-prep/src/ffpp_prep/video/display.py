"""From a decoded frame to the picture that a player shows: RGB, upright, not mirrored, with square pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import PIL.Image
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from ffpp_prep.video.budget import too_large
from ffpp_prep.video.interface import DecodeFailed, Scaled, reason_of
from ffpp_prep.video.transparency import over_white

# The same pixels on every processor, so that crops made on different machines are equal.
CONVERSION = Interpolation.BILINEAR | Interpolation.BITEXACT
# Programs that scale a video round its pixels' shape by as much; the squarest of real ones, PAL's, are 16:15.
SQUARE = 1.03
GLANCE = 128
"""pixels of a longer side: a picture so small is not looked at for faces, and does not count as looked at"""
WITHOUT_SHAPE = ("mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "flv")  # containers that don't say it
WIDEST = 4.0  # a shape beyond it is a damaged header


def pixel_aspect(ratio: Fraction | None) -> float:
    """Returns the width through height of pixels: 1 where they are square, nearly so, or of an impossible shape."""
    aspect = float(ratio or 1)
    shape = max(aspect, 1 / aspect) if aspect > 0 else 1.0
    return aspect if SQUARE < shape <= WIDEST else 1.0


class Display:
    """How the frames of one video become pictures; to be shown each of them in order.

    A container that says what shape pixels have is believed until the decoder says another one than at first, as in
    joined recordings. How a picture is to be turned may be said with some frames, for all that follow.

    stream: whose pixels, where they aren't square, are stretched along their longer side; None to leave them.
    """

    def __init__(self, stream: Any = None) -> None:
        self._stream = stream
        self._aspect = self._said = 1.0 if stream is None else pixel_aspect(stream.sample_aspect_ratio)
        self._at_first: Fraction | None = None
        self._size = (0, 0)
        self._rotation: int | None = None
        self._turn = _Turn()

    @property
    def stretches(self) -> bool:
        """Whether the container says that pixels aren't square."""
        return self._said != 1.0

    def view(self, frame: av.VideoFrame) -> View:
        """Returns how a frame is shown, at the cost of looking at its head."""
        size = frame.width, frame.height
        if self._stream is not None and (frame.key_frame or size != self._size):
            ratio = self._stream.codec_context.sample_aspect_ratio
            if self._size == (0, 0):
                self._at_first = ratio
            believed = ratio == self._at_first and self._stream.container.format.name not in WITHOUT_SHAPE
            self._aspect = self._said if believed else pixel_aspect(ratio)
        self._size = size
        if frame.rotation != self._rotation:
            self._rotation = frame.rotation
            self._turn = _turn_of(frame) or self._turn
        return View(frame, self._aspect, self._turn)


@dataclass(frozen=True)
class View:
    """How one frame becomes a picture."""

    _frame: av.VideoFrame
    _aspect: float
    _turn: _Turn

    @property
    def size(self) -> tuple[int, int]:
        """The picture's width and height."""
        width, height = self._stretched()
        return (height, width) if self._turn.transposed else (width, height)

    def picture(self) -> NDArray[np.uint8]:
        """Returns the frame as (H, W, 3) uint8 RGB.

        Raises:
            DecodeFailed: it can't be had.
        """
        return self.scaled(0).picture

    def scaled(self, longest: int) -> Scaled:
        """Returns the picture with a longer side of at most `longest` pixels, 0 for no limit, scaled while it
        is converted.

        Raises:
            DecodeFailed: it can't be had.
        """
        frame = self._frame
        try:
            width, height = self._stretched()
            if refusal := too_large(width, height):
                raise ValueError(refusal)
            scale = min(1.0, longest / max(width, height)) if longest else 1.0
            small = max(1, round(width * scale)), max(1, round(height * scale))
            scaled = frame
            if GLANCE < max(small) < max(width, height) and frame.format.name.startswith("yuv"):
                # Its own planes first: half as many values, and what turns them to RGB unscaled is much the fastest.
                scaled = frame.reformat(*small, interpolation=CONVERSION, threads=1)
            through = _may_be_transparent(frame.format)
            rgb = "rgba" if through else "rgb24"
            pixels = _array(scaled.reformat(*small, format=rgb, interpolation=CONVERSION, threads=1))
            return Scaled(self._turn.applied(_on_paper(pixels) if through else pixels), self.size)
        except Exception as error:
            raise DecodeFailed(f"no RGB of a {frame.format.name} frame: {reason_of(error)}") from error

    def _stretched(self) -> tuple[int, int]:
        width, height = self._frame.width, self._frame.height
        if self._aspect == 1.0:
            return width, height
        return round(width * max(1.0, self._aspect)), round(height * max(1.0, 1 / self._aspect))


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Returns (h, w, 3) uint8 as (size, size, 3) uint8, bicubic."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    flags = Interpolation.BICUBIC | Interpolation.BITEXACT
    return _array(frame.reformat(size, size, interpolation=flags, threads=1))


@dataclass(frozen=True)
class _Turn:
    """One of eight: four turns, each of them plain or mirrored. First rows become columns, then sides change."""

    transposed: bool = False
    left_to_right: bool = False
    top_to_bottom: bool = False

    def applied(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self == _Turn():
            return picture
        turned = picture.transpose(1, 0, 2) if self.transposed else picture
        columns, rows = -1 if self.left_to_right else 1, -1 if self.top_to_bottom else 1
        return np.ascontiguousarray(turned[::rows, ::columns])


def _turn_of(frame: av.VideoFrame) -> _Turn | None:
    """Returns the turn that is nearest to a frame's display matrix; None where there is none.

    PyAV ties a frame to the side data that it is asked for, until Python looks for such rings: so a small copy is
    asked, once for all frames of one rotation. Beside side data of a kind that is new to it, PyAV gives none; then the
    rotation says what the matrix does, but for mirroring.
    """
    try:
        data: Any = _small(frame).side_data
        matrix = bytes(data[Type.DISPLAYMATRIX]) if Type.DISPLAYMATRIX in data else b""
    except ValueError:
        return (
            _Turn(),
            _Turn(transposed=True, top_to_bottom=True),
            _Turn(left_to_right=True, top_to_bottom=True),
            _Turn(transposed=True, left_to_right=True),
        )[round(frame.rotation / 90) % 4]
    if not matrix:
        return None
    # A point (x, y) of the coded picture is shown at (a x + c y, b x + d y).
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(a) + abs(d) < abs(b) + abs(c):
        return _Turn(True, c < 0, b < 0)
    return _Turn(False, a < 0, d < 0)


def _may_be_transparent(pixels: av.VideoFormat) -> bool:
    return pixels.has_palette or any(component.is_alpha for component in pixels.components)


def _on_paper(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns RGBA as RGB, what is transparent over white, as in pictures.

    Where nothing is opaque at all, the program that wrote it has left the fourth byte alone.
    """
    rgb, opacity = pixels[..., :3], pixels[..., 3]
    if opacity.min() == 255 or not opacity.any():
        return np.ascontiguousarray(rgb)
    return over_white(PIL.Image.fromarray(pixels))


def _small(frame: av.VideoFrame) -> av.VideoFrame:
    return frame.reformat(16, 16, format="gray", interpolation=Interpolation.POINT, threads=1)


def _array(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray().astype(np.uint8, copy=False)
