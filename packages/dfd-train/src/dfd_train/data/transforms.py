"""What is done to a training crop of the network's size: augmentation (thesis section 4.2).

The random choices of a sample are drawn first, into a plain `Draw` keyed by (seed, epoch, position), and applied
afterwards. So a resumed run, another number of workers and the other device all show the same picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dfd_train.data import functional
from dfd_train.data.fitting import as_shares, normalize
from dfd_train.data.spec import InputSpec
from dfd_train.settings.config import TransformConfig

__all__ = ["Draw", "adjust_hue", "augment", "draw", "erase", "move"]


@dataclass(frozen=True)
class Draw:
    """The random choices of one showing of one crop."""

    order: tuple[str, ...]
    """flip, jitter and rotation in the order in which they are applied"""
    flip: bool
    jitter: tuple[tuple[str, float], ...]
    """brightness, contrast, saturation and hue in the order in which they are applied, each with its factor"""
    angle: float
    """degrees, counter-clockwise"""
    erased: tuple[int, int, int, int] | None
    """top, left, height, width in pixels"""


def draw(config: TransformConfig, size: int, *, seed: int, epoch: int, position: int) -> Draw:
    """Draws the random choices for the sample at `position` of `epoch`, for an input of `size` pixels.

    What is added draws last, and only where it is on: older runs go on with the choices that they began with.
    """
    random = np.random.default_rng([seed, epoch, position])
    factors = {
        name: 1.0 + random.uniform(-strength, strength)
        for name, strength in (
            ("brightness", config.brightness),
            ("contrast", config.contrast),
            ("saturation", config.saturation),
        )
        if strength
    }
    if config.hue:
        factors["hue"] = random.uniform(-config.hue, config.hue)
    names = list(factors)
    return Draw(
        order=tuple(("flip", "jitter", "rotation")[i] for i in random.permutation(3)),
        flip=bool(random.random() < config.flip),
        jitter=tuple((names[i], float(factors[names[i]])) for i in random.permutation(len(names))),
        angle=float(random.uniform(-config.rotation, config.rotation)),
        erased=_draw_erased(config, size, random) if random.random() < config.erasing else None,
    )


def augment(image: Tensor, choices: Draw, spec: InputSpec) -> Tensor:
    """Makes a normalised float32 training input of uint8 (3, S, S), on the device of `image`."""
    picture = move(as_shares(image), choices)
    return erase(normalize(picture, spec), choices)


def move(picture: Tensor, choices: Draw) -> Tensor:
    """Applies everything that comes before normalisation; without jitter, uint8 stays uint8."""
    for step in choices.order:
        if step == "flip" and choices.flip:
            picture = functional.horizontal_flip(picture)
        elif step == "jitter":
            for name, factor in choices.jitter:
                picture = _jitter(picture, name, factor)
        elif step == "rotation" and choices.angle:
            # nearest neighbour, around the centre, filled with black
            picture = functional.rotate(picture, choices.angle)
    return picture


def erase(picture: Tensor, choices: Draw) -> Tensor:
    """Gives a part of a normalised picture (3, S, S) the mean colour, in place."""
    if choices.erased is not None:
        top, left, height, width = choices.erased
        picture[:, top : top + height, left : left + width] = 0.0
    return picture


def adjust_hue(picture: Tensor, turns: float | Tensor) -> Tensor:
    """Shifts the hue of float32 (..., 3, H, W) in [0, 1] by `turns`, or (..., 1, 1) of them; value and saturation stay.

    The result equals torchvision's, in half the time: each channel follows directly from the hue, without sectors.
    """
    low, high = picture.amin(-3), picture.amax(-3)
    chroma = high - low
    red, green, blue = picture.unbind(-3)
    divisor = chroma.masked_fill(chroma == 0, 1.0)
    sixths = torch.where(
        high == red,
        (green - blue) / divisor,
        torch.where(high == green, (blue - red) / divisor + 2.0, (red - green) / divisor + 4.0),
    )
    shifted = torch.empty_like(picture)
    for channel, start in zip(shifted.unbind(-3), (5.0, 3.0, 1.0), strict=True):
        place = (sixths + (start + 6.0 * turns)).remainder_(6.0)
        torch.minimum(place, 4.0 - place, out=place).clamp_(0.0, 1.0)
        torch.addcmul(high, place, chroma, value=-1.0, out=channel)
    return shifted


def _jitter(picture: Tensor, name: str, factor: float) -> Tensor:
    if name == "hue":
        return adjust_hue(picture, factor)
    adjusted: Tensor = getattr(functional, f"adjust_{name}")(picture, factor)
    return adjusted


def _draw_erased(
    config: TransformConfig, size: int, random: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """Returns a box inside the image, by the rule of random erasing [35]; None after ten misses."""
    low, high = config.erasing_ratio
    for _ in range(10):
        area = size * size * random.uniform(*config.erasing_scale)
        ratio = math.exp(random.uniform(math.log(low), math.log(high)))
        height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < height < size and 0 < width < size:
            return (
                int(random.integers(size - height + 1)),
                int(random.integers(size - width + 1)),
                height,
                width,
            )
    return None
