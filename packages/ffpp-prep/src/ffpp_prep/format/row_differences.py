"""The codec `zstd`: a crop as differences from the row above, packed by zstd.

A row's three colours follow one another. Red and blue are stored as differences from green, then every row but the
first as its difference from the row above; all modulo 256, in bytes.
"""

from __future__ import annotations

import imagecodecs
import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_rows", "encode_rows"]

Picture = NDArray[np.uint8]
LEVEL = 1  # higher ones take several times as long, for a twentieth of the size


def encode_rows(crop: Picture) -> bytes:
    """Returns the bytes of a crop (h, w, 3)."""
    rows = np.array(crop.transpose(0, 2, 1), order="C")  # a copy, always
    rows[:, ::2] -= rows[:, 1:2]
    rows[1:] -= rows[:-1].copy()
    return bytes(imagecodecs.zstd_encode(rows.tobytes(), level=LEVEL))


def decode_rows(data: bytes, height: int, width: int) -> Picture:
    """Returns the crop (height, width, 3) of these bytes.

    Raises: ValueError where they are of fewer pixels; RuntimeError where they are of more, or no zstd.
    """
    rows = np.empty((height, 3 * width), np.uint8)
    found = len(imagecodecs.zstd_decode(data, out=rows.data.cast("B")))
    if found != rows.size:
        raise ValueError(f"it holds {found} bytes, not {rows.size}")
    above = rows[0]
    for row in rows[1:]:  # in a third of np.add.accumulate's time
        np.add(above, row, row)
        above = row
    red, green, blue = rows.reshape(height, 3, width).swapaxes(0, 1)
    crop = np.empty((height, width, 3), np.uint8)
    crop[..., 1] = green
    np.add(red, green, crop[..., 0])
    np.add(blue, green, crop[..., 2])
    return crop
