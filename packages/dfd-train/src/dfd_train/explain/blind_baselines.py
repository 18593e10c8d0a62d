"""What an explanation must beat to say anything of a network: explanations that know nothing of it.

A manipulation mask lies in the middle of a crop, where the face is. So a spot in the middle scores well without a
model, as do other pictures' masks; and a method that draws edges scores well with a network whose weights are random
(Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dfd_train.explain.attribution import SIDE
from dfd_train.explain.pictures import Mask
from dfd_train.explain.score import enlarge
from dfd_train.models import Detector

Values = npt.NDArray[np.float32]
CENTRE = SIDE / 5  # deviation of the spot in the middle, in pixels of the map


@dataclass(frozen=True)
class BlindBaseline:
    """An explanation that knows nothing of the network."""

    name: str
    title: str


CENTRE_PRIOR = BlindBaseline("centre", "Spot in\nthe middle")
RANDOM_WEIGHTS = BlindBaseline("random", "Random\nweights")
OTHER_MASKS = BlindBaseline("others", "Others'\nmasks")
BLIND_BASELINES = (CENTRE_PRIOR, RANDOM_WEIGHTS, OTHER_MASKS)


def centre_prior() -> Values:
    """Returns a Gaussian spot in the middle, (SIDE, SIDE)."""
    fall = np.exp(-0.5 * ((np.arange(SIDE) - (SIDE - 1) / 2) / CENTRE) ** 2)
    return np.outer(fall, fall).astype(np.float32)


def other_masks(masks: Sequence[Mask], groups: Sequence[str], own: int) -> Values | None:
    """Returns the mean mask of the pictures of other people, (SIDE, SIDE); None where there are no others."""
    others = [enlarge(mask) for mask, group in zip(masks, groups, strict=True) if group != groups[own]]
    return np.mean(others, axis=0, dtype=np.float32) if others else None


def randomised(detector: Detector, seed: int) -> Detector:
    """Returns the same network with all of its weights drawn anew, and the statistics of its batch norms forgotten."""
    network = copy.deepcopy(detector.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        told: set[int] = set()
        for module in network.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
                told |= {id(weight) for weight in module.parameters(recurse=False)}
        for weight in network.parameters():
            if id(weight) not in told:  # of modules that don't say how they begin
                nn.init.normal_(weight, std=0.02)
    return replace(detector, network=network.eval())
