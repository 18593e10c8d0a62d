"""LIME, Grad-CAM and occlusion of one crop and one network, by captum: what speaks for fake, what for real.

All three explain the logit: it is additive and, unlike the probability, doesn't flatten where the network is sure.
Positive values speak for fake, negative ones for real. All maps have `SIDE` x `SIDE` pixels, whatever the network's
input, so that several networks can stand side by side on the same superpixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from dfd_train.data.fitting import fit, normalize, resize
from dfd_train.engine.score import LARGEST_LOGIT
from dfd_train.errors import NotANumber
from dfd_train.explain.layers import last_maps
from dfd_train.models.build import Detector
from ffpp_prep.format.geometry import Image

SIDE = 299
METHODS = ("lime", "gradcam", "occlusion")
BATCH = 16
KERNEL_WIDTH = 0.25  # of LIME's weights, in cosine distance, as in the program of LIME's authors
WINDOW = 7  # occluding squares have this share of the input's side, and move by half of it

Progress = Callable[[int], object]
"""told after each batch how many pictures the network has seen"""


@dataclass(frozen=True)
class Attribution:
    """What one method says of one crop."""

    method: str
    values: npt.NDArray[np.float32]
    """(SIDE, SIDE): of lime, the weight of each pixel's superpixel; of the others, each pixel's own"""
    segments: npt.NDArray[np.int64] | None
    """(SIDE, SIDE) superpixels numbered from 0, of lime"""


@dataclass(frozen=True)
class Sampling:
    """What LIME draws: a number of samples, in each of which some superpixels are painted over."""

    segments: npt.NDArray[np.int64]
    """(SIDE, SIDE), numbered from 0"""
    samples: int
    seed: int


def superpixels(crop: Image) -> npt.NDArray[np.int64]:
    """Returns parts of a crop that look alike, numbered from 0, (SIDE, SIDE): quickshift with LIME's own
    settings [53].
    """
    from skimage.segmentation import quickshift

    picture = resize(crop, SIDE).permute(1, 2, 0).numpy()
    segmented: Any = quickshift
    segments: npt.NDArray[np.int64] = segmented(picture, kernel_size=4, max_dist=200, ratio=0.2, rng=0)
    return segments


def logit_of(detector: Detector, crop: Image, device: torch.device) -> float:
    """Returns the network's logit of one crop."""
    with torch.inference_mode():
        return float(detector.network(_input(detector, crop, device)).item())


def lime(
    detector: Detector,
    crop: Image,
    sampling: Sampling,
    *,
    device: torch.device,
    progress: Progress = lambda seen: None,
) -> Attribution:
    """Returns weights of superpixels: of a linear model fitted to the logits of crops with parts painted over
    (thesis 7.3).

    The first sample is the crop itself; in the others each superpixel is replaced by its mean colour with probability
    one half. The same seed draws the same samples for every network.
    """
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    image = _input(detector, crop, device)
    labels = _shrink(sampling.segments, image.shape[-1]).to(device)
    count = int(sampling.segments.max()) + 1
    method = Lime(
        _seen(detector, progress),
        interpretable_model=SkLearnRidge(alpha=1.0),
        similarity_func=_similarity,
        perturb_func=_samples(count, sampling.seed, device),
    )
    weights = method.attribute(
        image,
        baselines=_mean_colours(image, labels, count),
        feature_mask=labels[None, None],
        n_samples=sampling.samples,
        perturbations_per_eval=BATCH,
        return_input_shape=False,
    )
    values = weights.flatten().float().cpu().numpy()
    return Attribution("lime", values[sampling.segments], sampling.segments)


def gradcam(
    detector: Detector, crop: Image, *, device: torch.device, progress: Progress = lambda seen: None
) -> Attribution:
    """Returns Grad-CAM on the last feature map; of an ensemble, the sum over its members' maps.

    Signed: the part below zero, which the method's authors cut off, speaks for real.

    Raises: UserError for a network without such a map.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    image = _input(detector, crop, device)
    total = torch.zeros(1, 1, SIDE, SIDE, device=device)
    with torch.enable_grad():
        for layer in last_maps(detector.network, image):
            small = LayerGradCam(detector.network, layer).attribute(image.clone())
            total += LayerAttribution.interpolate(small.detach(), (SIDE, SIDE), "bilinear")
    progress(gradcam_steps(detector))
    return Attribution("gradcam", numbers(total[0, 0], math.inf).float().cpu().numpy(), None)


def occlusion(
    detector: Detector, crop: Image, *, device: torch.device, progress: Progress = lambda seen: None
) -> Attribution:
    """Returns how far the logit falls when a square of the crop's mean colour covers each place."""
    from captum.attr import Occlusion

    image = _input(detector, crop, device)
    window, stride = _window(image.shape[-1])
    values = Occlusion(_seen(detector, progress)).attribute(
        image,
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=image.mean((2, 3), keepdim=True).expand_as(image),
        perturbations_per_eval=BATCH,
    )
    # a square covers all three channels, which therefore hold the same values
    enlarged = functional.interpolate(values[:, :1], (SIDE, SIDE), mode="bilinear")
    return Attribution("occlusion", enlarged[0, 0].float().cpu().numpy(), None)


def steps(method: str, detector: Detector, samples: int) -> int:
    """Returns how many pictures the network sees for one explanation."""
    if method == "lime":
        return samples
    return gradcam_steps(detector) if method == "gradcam" else _places(detector.spec.size) ** 2 + 1


def gradcam_steps(detector: Detector) -> int:
    """Counts a pass to find the layers, and for each of them a pass with its gradient, about two more."""
    return 1 + 3 * len(getattr(detector.network, "members", [None]))


def _input(detector: Detector, crop: Image, device: torch.device) -> Tensor:
    return normalize(fit(crop, detector.spec), detector.spec)[None].to(device)


def _seen(detector: Detector, progress: Progress) -> Callable[[Tensor], Tensor]:
    def forward(images: Tensor) -> Tensor:
        logits = numbers(detector.network(images).flatten())
        progress(len(images))
        return logits

    return forward


def numbers(values: Tensor, largest: float = LARGEST_LOGIT) -> Tensor:
    """Gives logits, or other values, back. Raises: NotANumber where one is NaN, infinite or beyond `largest`."""
    if not bool((torch.isfinite(values) & (values.abs() <= largest)).all()):
        raise NotANumber(
            "the network gives no number (NaN, infinity, or a logit beyond 1e9) where parts of the picture are covered "
            "or for the gradient: its weights are damaged, or its numbers overflow; there is no explanation"
        )
    return values


def _samples(count: int, seed: int, device: torch.device) -> Callable[..., Iterator[Tensor]]:
    """Returns a function that draws which superpixels stay, (1, count): first all, then each with probability ½."""

    def draw(_: Tensor, **__: object) -> Iterator[Tensor]:
        random = torch.Generator().manual_seed(
            seed
        )  # on the CPU, so that every device shows the same samples
        yield torch.ones(1, count, dtype=torch.long, device=device)
        while True:
            yield torch.randint(0, 2, (1, count), generator=random).to(device)

    return draw


def _similarity(_: Tensor, __: Tensor, kept: Tensor, **___: object) -> float:
    """Returns a sample's weight: by the cosine distance of its superpixels to all superpixels, as LIME's
    authors have it.
    """
    distance = 1.0 - math.sqrt(float(kept.float().mean()))
    return math.sqrt(math.exp(-((distance / KERNEL_WIDTH) ** 2)))


def _mean_colours(image: Tensor, labels: Tensor, count: int) -> Tensor:
    """Returns the image (1, 3, S, S) with each superpixel in its mean colour."""
    flat = labels.flatten()
    sums = torch.zeros(3, count, device=image.device).index_add_(1, flat, image[0].flatten(1))
    sizes = torch.bincount(flat, minlength=count).clamp(min=1)
    return (sums / sizes)[:, flat].view_as(image)


def _shrink(segments: npt.NDArray[np.int64], size: int) -> Tensor:
    """Returns the superpixels at the network's input size, the nearest one for each pixel, int64 (size, size)."""
    labels = torch.from_numpy(segments).float()[None, None]
    return functional.interpolate(labels, (size, size), mode="nearest-exact")[0, 0].long()


def _window(size: int) -> tuple[int, int]:
    """Returns the side and stride of the occluding square."""
    window = max(2, size // WINDOW)
    return window, max(1, window // 2)


def _places(size: int) -> int:
    """Returns how many places the square takes along one side; the last one may reach beyond the edge."""
    window, stride = _window(size)
    return math.ceil((size - window) / stride) + 1
