"""Whether what an explanation calls important is so to the network: deletion and insertion.

After Petsiuk et al., RISE, BMVC 2018. Deletion covers the most important places first, by the crop's mean colour: the
sooner the score falls, the better, so a small area below its curve is good. Insertion lays them into a blurred crop:
the sooner it rises, the better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from dfd_train.data.fitting import fit, normalize
from dfd_train.data.functional import gaussian_blur
from dfd_train.explain.attribution import BATCH, numbers
from dfd_train.models import Detector
from ffpp_prep.format.geometry import Image

STEPS = 20
BLUR = 1 / 20  # of the input's side: the deviation of what insertion begins with
PASSES = 2 * (STEPS + 1)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Probability of fake with 0, 1/STEPS, … of all places deleted or inserted, (STEPS + 1,) each."""

    deletion: Floats
    insertion: Floats

    @property
    def areas(self) -> tuple[float, float]:
        """The areas below the curves of deletion and insertion."""
        return float(np.trapezoid(self.deletion) / STEPS), float(np.trapezoid(self.insertion) / STEPS)


def curves(detector: Detector, crop: Image, values: npt.NDArray[np.float32], device: torch.device) -> Curves:
    """Measures both curves of one explanation, (SIDE, SIDE) values: the largest first, equal ones from top left."""
    image = normalize(fit(crop, detector.spec), detector.spec).to(device)
    size = image.shape[-1]
    small = functional.interpolate(torch.from_numpy(values)[None, None], (size, size), mode="nearest-exact")
    order = torch.argsort(small.flatten(), descending=True, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(size * size)
    first = rank.view(1, size, size).to(device)
    reach = 2 * max(1, round(2 * BLUR * size)) + 1
    flat = image.mean((1, 2), keepdim=True).expand_as(image)
    blurred = gaussian_blur(image[None], [reach, reach], [BLUR * size, BLUR * size])[0]
    shares = [step * size * size / STEPS for step in range(STEPS + 1)]
    deleted = [torch.where(first < share, flat, image) for share in shares]
    inserted = [torch.where(first < share, image, blurred) for share in shares]
    return Curves(_probs(detector, deleted), _probs(detector, inserted))


def _probs(detector: Detector, images: list[Tensor]) -> Floats:
    with torch.inference_mode():
        parts = [
            torch.sigmoid(
                numbers(detector.network(torch.stack(images[start : start + BATCH])).flatten()).double()
            )
            for start in range(0, len(images), BATCH)
        ]
    return np.asarray(torch.cat(parts).cpu().numpy(), np.float64)
