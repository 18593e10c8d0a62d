"""Which boxes of a batch of pictures are another one's double: greedy suppression, all pictures at once."""

from __future__ import annotations

import torch
from torch import Tensor


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Returns the intersections over union, (N, K, L), of boxes (N, K, 4) with others (N, L, 4)."""
    one, other = one[:, :, None], other[:, None]
    size = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    shared = size.clamp(min=0).prod(-1)
    areas = (one[..., 2:] - one[..., :2]).clamp(min=0).prod(-1) + (other[..., 2:] - other[..., :2]).clamp(
        min=0
    ).prod(-1)
    return shared / (areas - shared).clamp(min=torch.finfo(shared.dtype).tiny)


def leaders(same: Tensor, counted: Tensor) -> Tensor:
    """Returns which of `counted`, bool (N, K), best first, are the double of no better one that leads itself.

    The greedy answer is the only one that agrees with itself; from any start it is reached from the best one on.

    Args:
        same: bool (N, K, K), whether two are doubles.
        counted: those that take part.
    """
    better = same.triu(1)
    lead = counted
    while True:
        led = (better & lead[:, :, None]).any(1)
        settled = counted & ~led
        if torch.equal(settled, lead):
            return lead
        lead = settled
