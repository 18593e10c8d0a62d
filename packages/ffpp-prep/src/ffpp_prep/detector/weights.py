"""The embedded weights: read, checked, and turned from bytes to float32."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from importlib import resources

import numpy as np
from numpy.typing import NDArray

WEIGHTS_FILE = "ssd_mobilenet_v1_face.npz"
WEIGHTS_SHA256 = "9b3c3476c4a7a568e5109fce99aae377ab08158783d92526277395eb482a6b59"

Weights = Mapping[str, NDArray[np.float32]]


def load_weights() -> Weights:
    """Returns the float32 tensors of the embedded detector by name.

    Raises ValueError when the file's SHA-256 is not `WEIGHTS_SHA256`. Source: data/PROVENANCE.md.
    """
    content = resources.files(__package__).joinpath("data", WEIGHTS_FILE).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(f"{WEIGHTS_FILE} is damaged: SHA-256 {digest}, expected {WEIGHTS_SHA256}")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: _dequantise(arrays, name) for name in arrays.files if not name.endswith("@scale_min")}


def _dequantise(arrays: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    values = arrays[name]
    if values.dtype != np.uint8:
        return values
    scale, minimum = arrays[f"{name}@scale_min"]
    decoded: NDArray[np.float64] = values * scale + minimum
    return decoded.astype(np.float32)
