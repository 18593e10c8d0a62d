"""The rule by which parity tests fill weights, and the crops that they score: whole numbers decide, so that every
machine and library makes the same ones. What the authors' networks answered to it stands in `published/`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def filled(shapes: Mapping[str, tuple[int, ...]], gain: float = 1.0) -> dict[str, Tensor]:
    """A state dict by its names and shapes: each tensor from the CRC-32 of its name.

    `gain` of convolutions: so large that what a picture shows still reaches the end of a deep network.
    """
    return {name: _tensor(name, tuple(shape), gain) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if name.endswith("position_ids"):
        return torch.arange(int(np.prod(shape))).reshape(shape)
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    unit = ((raw >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)).reshape(shape)  # in [0, 1)
    spread = (2.0 * unit - 1.0) * np.float32(3**0.5)  # variance 1
    if name.endswith("running_var"):
        values = 0.5 + unit
    elif len(shape) == 1 and name.endswith("weight"):
        values = 1.0 + 0.1 * spread
    elif len(shape) <= 1:
        values = 0.1 * spread
    else:
        values = spread * np.float32((gain if len(shape) == 4 else 1.0) / np.prod(shape[1:]) ** 0.5)
    return torch.from_numpy(np.asarray(values, np.float32))


def crops() -> list[npt.NDArray[np.uint8]]:
    """Three pictures uint8 (h, w, 3): larger and smaller than networks' inputs, square and not."""
    return [picture(300, 300, 1), picture(412, 460, 2), picture(160, 120, 3)]


def picture(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    """Slopes, edges and texture, in whole numbers."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    channels = [
        (x * (seed + channel) + y * (4 - channel) + (x * y * seed) // 97 + ((x // 16 + y // 16) % 2) * 60)
        % 256
        for channel in range(3)
    ]
    return np.stack(channels, -1).astype(np.uint8)
