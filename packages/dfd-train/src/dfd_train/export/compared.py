"""Whether a written network answers as the trained one does, on crops of the run's own data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfd_train.data.fitting import fit, normalize
from dfd_train.data.selection import in_split, select_videos
from dfd_train.engine.score import require_numbers
from dfd_train.errors import UserError
from dfd_train.runs.checkpoint import TrainedModel
from ffpp_prep.format.joined import open_sets

TOLERANCE = 1e-4  # relative to the larger of 1 and the logits

Logits = Callable[[Tensor], npt.NDArray[np.float32]]
"""from network inputs (N, 3, S, S) to a logit each"""


def real_images(model: TrainedModel, data: Path | None, count: int, frames: int = 1) -> Tensor:
    """Returns network inputs (N, 3, S, S): frames of validation videos, or of all where there are none, spaced."""
    try:
        prepared = model.crops_of(open_sets(model.works(data)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; to compare on crops of another prepared set: --data WORK"
        ) from None
    split = "all" if in_split(prepared.videos, "val").empty else "val"  # footage of one's own has no splits
    drop = model.facts.config.data.multiple_faces == "drop"  # of several, any face will do to compare numbers
    videos = select_videos(prepared.videos, split, multiple_faces="drop" if drop else "keep").videos
    places = np.unique(np.linspace(0, len(videos) - 1, count).round().astype(int))
    crops = [
        prepared.read_crop_at(row, prepared.length(row) * (2 * number + 1) // (2 * frames))
        for row in map(int, videos.index[places])
        for number in range(frames)
    ]
    spec = model.detector.spec
    return normalize(torch.stack([fit(crop, spec) for crop in crops]), spec)


def deviation_of(network: nn.Module, written: Logits, images: Tensor) -> float:
    """Returns a logit's largest deviation, all crops at once and one alone. Raises: UserError: too large."""
    largest = 0.0
    for batch in (images, images[:1]):
        with torch.inference_mode():
            expected = require_numbers(network(batch).flatten().numpy(), "this network")
        deviation = float(np.abs(expected - written(batch)).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not deviation <= allowed:
            raise UserError(
                f"nothing written: a logit of the exported network deviates by {deviation:.2g} on the run's own "
                f"crops; allowed: {allowed:.2g}"
            )
        largest = max(largest, deviation)
    return largest
