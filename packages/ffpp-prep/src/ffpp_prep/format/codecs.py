"""How a crop becomes bytes in a shard, and back. All but `jpeg` are lossless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.format.row_differences import decode_rows, encode_rows

__all__ = ["CODECS", "MOST_PIXELS", "Codec", "codec"]

Picture = NDArray[np.uint8]
MOST_PIXELS = 1 << 26  # of a crop; a whole frame of 8K has half as many


@dataclass(frozen=True)
class Codec:
    """One way of storing (h, w, 3) uint8 RGB crops.

    `ratio` is about how many times smaller than raw the crops become, rounded down from benchmarks/codecs.py and
    crop_reads.py. `--max-gb` is planned by it: the plan should fall short of the limit rather than exceed it.
    """

    name: str
    encode: Callable[[Picture], bytes | bytearray | memoryview]
    picture: Callable[[bytes, int, int], Picture]
    ratio: float
    lossless: bool = True

    def decode(self, data: bytes, height: int, width: int) -> Picture:
        """Returns the crop of these bytes, (height, width, 3) uint8 RGB.

        Raises:
            ValueError: it is of another size than that, larger than MOST_PIXELS, or can't be decoded.
        """
        if min(height, width) < 1 or height * width > MOST_PIXELS:
            raise ValueError(f"it is {width}x{height} pixels, allowed are up to {MOST_PIXELS}")
        try:
            return self.picture(data, height, width)
        except RuntimeError as error:  # as imagecodecs refuses bytes
            raise ValueError(str(error)) from error


def _room(height: int, width: int) -> Picture:
    """Returns what a crop is decoded into: bytes of another size are refused before there is memory for them."""
    return np.empty((height, width, 3), np.uint8)


CODECS: tuple[Codec, ...] = (
    Codec("zstd", encode_rows, decode_rows, 2.7),
    Codec(
        "webp",
        lambda crop: imagecodecs.webp_encode(crop, lossless=True, level=0, method=0, numthreads=0),
        lambda data, h, w: imagecodecs.webp_decode(data, out=_room(h, w)),
        2.9,
    ),
    Codec(
        "jxl",
        lambda crop: imagecodecs.jpegxl_encode(crop, lossless=True, effort=1, numthreads=1),
        lambda data, h, w: imagecodecs.jpegxl_decode(data, numthreads=1, out=_room(h, w)),
        3.3,
    ),
    Codec(
        "png",
        lambda crop: imagecodecs.png_encode(crop, level=1),
        lambda data, h, w: imagecodecs.png_decode(data, out=_room(h, w)),
        1.9,
    ),
    Codec(
        "qoi", imagecodecs.qoi_encode, lambda data, h, w: imagecodecs.qoi_decode(data, out=_room(h, w)), 1.6
    ),
    Codec(
        "raw",
        lambda crop: crop.data.cast("B"),  # no copy
        lambda data, h, w: np.frombuffer(data, np.uint8).reshape(h, w, 3),
        1.0,
    ),
    Codec(
        "jpeg",
        lambda crop: imagecodecs.jpeg8_encode(crop, level=95, subsampling="444"),
        lambda data, h, w: imagecodecs.jpeg8_decode(data, out=_room(h, w)),
        5.7,
        lossless=False,
    ),
)


def codec(name: str) -> Codec:
    """Returns the codec of that name.

    Raises:
        UserError: there is none.
    """
    found = next((c for c in CODECS if c.name == name), None)
    if found is None:
        raise UserError(f"codec {name!r}: unknown; allowed are {', '.join(c.name for c in CODECS)}")
    return found
