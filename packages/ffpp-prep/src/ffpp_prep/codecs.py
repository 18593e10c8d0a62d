"""How a crop becomes bytes in a shard, and back. All but `jpeg` are lossless."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UsageError

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Codec:
    """One way of storing (h, w, 3) uint8 RGB crops.

    `ratio` is about how many times smaller than raw a crop of c23 video becomes (benchmarks/codecs.py); it only
    serves to plan the size of shards.
    """

    name: str
    encode: Callable[[Picture], bytes | bytearray | memoryview]
    decode: Callable[[bytes, int, int], Picture]
    ratio: float
    lossless: bool = True


CODECS: tuple[Codec, ...] = (
    Codec(
        "webp",
        lambda crop: imagecodecs.webp_encode(crop, lossless=True, level=0, method=0, numthreads=0),
        lambda data, h, w: imagecodecs.webp_decode(data),
        3.9,
    ),
    Codec(
        "jxl",
        lambda crop: imagecodecs.jpegxl_encode(crop, lossless=True, effort=1, numthreads=1),
        lambda data, h, w: imagecodecs.jpegxl_decode(data, numthreads=1),
        4.4,
    ),
    Codec(
        "png",
        lambda crop: imagecodecs.png_encode(crop, level=1),
        lambda data, h, w: imagecodecs.png_decode(data),
        2.6,
    ),
    Codec("qoi", imagecodecs.qoi_encode, lambda data, h, w: imagecodecs.qoi_decode(data), 2.1),
    Codec(
        "raw",
        lambda crop: crop.data.cast("B"),  # no copy
        lambda data, h, w: np.frombuffer(data, np.uint8).reshape(h, w, 3),
        1.0,
    ),
    Codec(
        "jpeg",
        lambda crop: imagecodecs.jpeg8_encode(crop, level=95, subsampling="444"),
        lambda data, h, w: imagecodecs.jpeg8_decode(data),
        8.3,
        lossless=False,
    ),
)


def codec(name: str) -> Codec:
    """The codec of that name.

    Raises:
        UsageError: there is none.
    """
    found = next((c for c in CODECS if c.name == name), None)
    if found is None:
        raise UsageError(f"codec {name!r}: unknown; allowed are {', '.join(c.name for c in CODECS)}")
    return found
