"""Frames as the networks take them, on the device: TensorFlow 1's resize for the SSD, and Pillow's for BlazeFace.

The rules are those of `litert_model` and of `sampling`; between two steps Pillow rounds to whole grey levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ffpp_prep.detector.layers import Floats
from ffpp_prep.detector.sampling import GAP, Cut, Fit


def resized(frames: Tensor, size: int) -> Tensor:
    """Returns uint8 (N, H, W, 3) as float32 (N, 3, size, size), -1…1: neither aligned corners nor half pixels."""
    (top, bottom, down), (left, right, across) = (_corners(n, size, frames.device) for n in frames.shape[1:3])
    down = down[:, None, None]
    across = across[:, None]

    def row(rows: Tensor) -> Tensor:
        lines = frames[:, rows]
        one, other = lines[:, :, left].float(), lines[:, :, right].float()
        return one + (other - one) * across

    upper, lower = row(top), row(bottom)
    return ((upper + (lower - upper) * down) * (2 / 255) - 1).permute(0, 3, 1, 2)


def _corners(size: int, wanted: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the two pixels between which each wanted one lies, and how far it is from the first."""
    places = torch.arange(wanted, device=device, dtype=torch.float32) * (size / wanted)
    low = places.long()
    return low, (low + 1).clamp(max=size - 1), places - low


def fitted(frames: Tensor, side: int) -> tuple[Tensor, Fit]:
    """Returns frames, uint8 (N, H, W, 3), as float32 (N, 3, side, side), -1…1, and where they lie; see
    `sampling.fitted`.
    """
    fit = Fit.of(frames.shape[1], frames.shape[2], side)
    values = frames.permute(0, 3, 1, 2).float()
    factors = [
        max(1, int(size / small / GAP)) for size, small in zip(frames.shape[1:3], fit.small, strict=True)
    ]
    values = _means(values, factors)
    for axis in (1, 0):  # Pillow's order
        matrices = _resampling(frames.shape[1 + axis], fit.small[axis], factors[axis])
        coarse, fine = (torch.from_numpy(matrix).to(frames.device) for matrix in matrices)
        rough = (values @ coarse.T if axis else coarse @ values) + 0.5
        rest = values @ fine.T if axis else fine @ values
        values = rough.floor() + (rough - rough.floor() + rest).floor()
    below, beside = (side - fit.small[0] - int(fit.top)), (side - fit.small[1] - int(fit.left))
    borders = (int(fit.left), beside, int(fit.top), below)
    return functional.pad(values * (2 / 255) - 1, borders), fit


@lru_cache(maxsize=64)
def _resampling(size: int, wanted: int, factor: int) -> tuple[Floats, Floats]:
    """Returns Pillow's bilinear weights, (wanted, pixels), of an axis whose pixels are means of `factor` ones.

    Pillow's have 22 binary places. In two parts of 11, every product and sum with grey levels is exact in float32.
    """
    pixels = -(-size // factor)
    scale = float(np.float32(size / factor)) / wanted
    reach = max(scale, 1.0)
    weights = np.zeros((wanted, pixels))
    for index in range(wanted):
        centre = (index + 0.5) * scale
        first, last = max(0, int(centre - reach + 0.5)), min(pixels, int(centre + reach + 0.5))
        shares = (1 - abs(np.arange(first, last) - centre + 0.5) / reach).clip(0)
        weights[index, first:last] = shares / shares.sum()
    whole = np.floor(weights * 2**22 + 0.5)
    coarse = np.floor(whole / 2**11) / 2**11
    return coarse.astype(np.float32), (whole / 2**22 - coarse).astype(np.float32)


def cut_out(frames: Tensor, indices: Sequence[int], cuts: Sequence[Cut], size: int) -> Tensor:
    """Returns turned squares of frames, uint8 (N, H, W, 3), as whole grey levels, float32 (K, 3, size, size).

    Args:
        frames: what is cut from.
        indices: of each square's frame.
        cuts: see `TurnedSquare.plan`.
        size: of a square's side.
    """
    result = torch.zeros(len(cuts), 3, size, size, device=frames.device)
    plain = [place for place, cut in enumerate(cuts) if cut.shrink == 1 and not cut.empty]
    if plain:
        result[plain] = _sampled(frames, [indices[p] for p in plain], [cuts[p] for p in plain], size)
    for place, cut in enumerate(cuts):
        if (
            cut.shrink > 1 and not cut.empty
        ):  # rare: a face of twice the network's size, and means of its own pixels
            piece = frames[indices[place], cut.top : cut.bottom, cut.left : cut.right]
            small = _means(piece.permute(2, 0, 1)[None].float(), (cut.shrink, cut.shrink))
            result[place] = _sampled(small.permute(0, 2, 3, 1), [0], [cut.shrunk()], size)[0]
    return result


def _sampled(pictures: Tensor, indices: Sequence[int], cuts: Sequence[Cut], size: int) -> Tensor:
    """Samples rectangles of pictures (N, H, W, 3) bilinearly, each by its own affine map; black beyond them."""
    device = pictures.device
    which = torch.tensor(indices, device=device)[:, None, None]
    edges = torch.tensor([(c.left, c.top, c.right, c.bottom) for c in cuts], device=device)
    left, top, right, bottom = edges.T[:, :, None, None]
    a, b, c, d, e, f = torch.tensor([cut.affine for cut in cuts], device=device).T[:, :, None, None]
    places = torch.arange(size, device=device) + 0.5
    across, down = places[None, None], places[None, :, None]
    x, y = a * across + b * down + c, d * across + e * down + f
    inside = (x >= 0) & (x < right - left) & (y >= 0) & (y < bottom - top)
    x, y = x - 0.5, y - 0.5
    column, row = x.floor(), y.floor()
    x, y = (x - column)[..., None], (y - row)[..., None]
    columns = [torch.minimum((column.long() + i).clamp(min=0) + left, right - 1) for i in (0, 1)]
    rows = [torch.minimum((row.long() + i).clamp(min=0) + top, bottom - 1) for i in (0, 1)]

    def line(own: Tensor) -> Tensor:
        one, other = (pictures[which, own, place].float() for place in columns)
        between: Tensor = one + (other - one) * x
        return between

    upper, lower = line(rows[0]), line(rows[1])
    values: Tensor = (upper + (lower - upper) * y).floor() * inside[..., None]
    return values.permute(0, 3, 1, 2)


def _means(values: Tensor, factors: Sequence[int]) -> Tensor:
    """Returns the means of blocks of so many rows and columns, at the edges of what there is of one.

    As Pillow divides: by a multiplication, which takes some halves down.
    """
    if max(factors) == 1:
        return values
    sums = functional.avg_pool2d(values, tuple(factors), ceil_mode=True, divisor_override=1).long()
    starts = [np.arange(0, size, factor) for size, factor in zip(values.shape[2:], factors, strict=True)]
    rows, columns = (
        np.minimum(size - start, factor)
        for size, start, factor in zip(values.shape[2:], starts, factors, strict=True)
    )
    counts = np.outer(rows, columns)
    shares = (np.float32(2**32) / (256 * counts).astype(np.float32)).astype(np.int64)
    half, share = (torch.from_numpy(own).to(values.device) for own in (counts // 2, shares))
    return (((sums + half) * share) >> 24).float()
