"""How much of an explanation lies where the picture was manipulated, and how much would by chance.

Definitions: docs/metrics.md, "Explanations against masks".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from dfd_train.explain.attribution import SIDE, Attribution
from dfd_train.explain.pictures import Mask


@dataclass(frozen=True)
class MaskScore:
    """One explanation against one mask; all shares are of one."""

    inside: float
    """of all weight that speaks for fake, the share inside the mask"""
    inside_by_chance: float
    """the same for weight that is spread at random"""
    hit: float
    """1 where the strongest place for fake lies inside the mask, else 0: the pointing game"""
    hit_by_chance: float


def mask_score(explanation: Attribution, mask: Mask | None) -> MaskScore | None:
    """Returns the score of an explanation; None without a mask, with an empty one, or where nothing speaks for fake.

    A superpixel's weight is that of its whole area, of which a share lies inside; a pixel lies inside or not.
    """
    if mask is None or not mask.any():
        return None
    inside = enlarge(mask).ravel().astype(np.float64)
    values = explanation.values.ravel().astype(np.float64)
    if explanation.segments is not None:
        segments = explanation.segments.ravel()
        area = np.bincount(segments)
        inside = np.bincount(segments, inside) / area
        values = np.bincount(segments, values) / area
    positive = values.clip(min=0.0)
    if not positive.any():
        return None
    return MaskScore(
        inside=float(positive @ inside / positive.sum()),
        inside_by_chance=float(inside.mean()),
        hit=float(inside[positive.argmax()] >= 0.5),
        hit_by_chance=float((inside >= 0.5).mean()),
    )


def enlarge(mask: Mask) -> Mask:
    """Returns a crop's mask at the size of the explanations, (SIDE, SIDE)."""
    small = torch.from_numpy(mask.astype(np.float32))[None, None]
    enlarged: Mask = functional.interpolate(small, (SIDE, SIDE), mode="nearest-exact")[0, 0].numpy() > 0.5
    return enlarged
