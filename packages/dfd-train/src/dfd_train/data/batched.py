"""Augmentation of a whole batch at once, on the device of its pictures: to rounding the same as crop by crop.

What happens to each crop is drawn beforehand and packed into numbers, which move to the device with the pictures. No
operation then depends on them, so that nothing waits for the device: what doesn't happen to a crop is done to it by
numbers that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from dfd_train.data.fitting import as_shares, normalize
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import Draw, adjust_hue

Matrix = tuple[float, float, float, float]

SAME: Matrix = (1.0, 0.0, 0.0, 1.0)
BLENDS = ("brightness", "contrast", "saturation")
NO_BLEND = (1.0, 0.0, 0.0)
GREY = (0.2989, 0.587, 0.114)  # torchvision's shares of red, green, blue
PACKED = 31
"""numbers that say what happens to a crop"""
_TURNS, _BLENDS, _HUE, _ERASED = slice(0, 8), slice(8, 26), slice(26, 27), slice(27, PACKED)


def pack(choices: Draw) -> Tensor:
    """Returns the choices of one crop as float32 (PACKED,): they are made into the same few steps for all crops.

    The steps: moved as `choices` say, where that comes before the jitter; blended up to three times; hue; blended up
    to three times; moved, where that comes after; erased. A mirror image has the colours of the picture, so mirroring
    may stand beside the rotation on either side of the jitter.
    """
    moved = _moved(choices)
    before = choices.order.index("rotation") < choices.order.index("jitter")
    names = [name for name, _ in choices.jitter]
    hue = names.index("hue") if "hue" in names else len(names)
    sides = choices.jitter[:hue], choices.jitter[hue + 1 :]
    blends = [_blend(*side[i]) if i < len(side) else NO_BLEND for side in sides for i in range(len(BLENDS))]
    top, left, height, width = choices.erased or (0, 0, 0, 0)
    return torch.tensor(
        (
            *(moved if before else SAME),
            *(SAME if before else moved),
            *(number for blend in blends for number in blend),
            dict(choices.jitter).get("hue", 0.0),
            *(top, top + height, left, left + width),
        )
    )


def augment_batch(images: Tensor, packed: Tensor, spec: InputSpec) -> Tensor:
    """Makes normalised float32 training inputs.

    Args:
        images: uint8 (N, 3, S, S).
        packed: (N, PACKED), on the CPU, see `pack`.
        spec: what the network expects.
    """
    first, last = _turning(packed[:, _TURNS])
    blending = (packed[:, _BLENDS].view(-1, 6, 3) != torch.tensor(NO_BLEND)).any(2).any(0).tolist()
    hue, erased = bool(packed[:, _HUE].any()), bool(packed[:, _ERASED].any())
    packed = packed.to(images.device, non_blocking=True)
    before, after = packed[:, _TURNS].view(-1, 2, 2, 2).unbind(1)
    blends = packed[:, _BLENDS].view(-1, 6, 3).unbind(1)
    pictures = as_shares(images)
    if first:
        pictures = _turn(pictures, before)
    for number, blend in enumerate(blends):
        if number == len(BLENDS) and hue:
            pictures = adjust_hue(pictures, packed[:, _HUE, None])
        if blending[number]:
            pictures = _mixed(pictures, blend)
    if last:
        pictures = _turn(pictures, after)
    pictures = normalize(pictures, spec)
    return _erase(pictures, packed[:, _ERASED]) if erased else pictures


def _moved(choices: Draw) -> Matrix:
    """Returns by which matrix a pixel's place (x, y) from the centre becomes that from which it is taken."""
    radians = math.radians(choices.angle)
    cos, sin = math.cos(radians), math.sin(radians)
    if not choices.flip:
        return cos, -sin, sin, cos
    if choices.order.index("flip") < choices.order.index("rotation"):
        return -cos, sin, sin, cos
    return -cos, -sin, -sin, cos


def _blend(name: str, factor: float) -> tuple[float, float, float]:
    """Returns how much stays of the picture, and how much of its mean grey and of its grey is added."""
    return factor, (1 - factor) * (name == "contrast"), (1 - factor) * (name == "saturation")


def _turning(turns: Tensor) -> Sequence[bool]:
    """Returns whether any picture is moved before its jitter, and whether any is afterwards."""
    return [bool((side != torch.tensor(SAME)).any()) for side in turns.view(-1, 2, 4).unbind(1)]


def _turn(pictures: Tensor, matrices: Tensor) -> Tensor:
    """Moves pictures (N, 3, S, S) by matrices (N, 2, 2): the nearest pixel, black beyond the edge."""
    size = pictures.shape[-1]
    at = torch.linspace((1.0 - size) * 0.5, (size - 1.0) * 0.5, size, device=pictures.device)
    by_x, by_y = (matrices / (0.5 * size)).unbind(2)
    # not a matrix product, which a GPU may round to ten bits
    places = at[:, None, None] * by_y[:, None, None] + at[:, None] * by_x[:, None, None]
    return grid_sample(pictures, places, mode="nearest", padding_mode="zeros", align_corners=False)


def _mixed(pictures: Tensor, blends: Tensor) -> Tensor:
    """Blends pictures (N, 3, S, S) with their mean grey and their grey, as (N, 3) says."""
    red, green, blue = pictures.unbind(1)
    grey = red.mul(GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])
    kept, mean, own = blends[:, :, None, None].unbind(1)
    added = grey.mul(own).add_(grey.mean((1, 2), keepdim=True) * mean)
    return pictures.mul(kept[:, None]).add_(added[:, None]).clamp_(0.0, 1.0)


def _erase(pictures: Tensor, boxes: Tensor) -> Tensor:
    """Gives the part between (N, 4) top, bottom, left and right the mean colour, in place."""
    at = torch.arange(pictures.shape[-1], device=pictures.device)
    top, bottom, left, right = boxes[:, :, None].unbind(1)
    rows, columns = (at >= top) & (at < bottom), (at >= left) & (at < right)
    return pictures.masked_fill_((rows[:, :, None] & columns[:, None])[:, None], 0.0)
