"""What a run's network costs: parameters, multiply-adds, bytes (Tables 5.1, 5.2, 7.1)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfd_train.errors import UserError

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)
THESIS_MEGABYTE = 1_024_000  # the unit of the thesis's size column, see reference/tables.toml


@dataclass(frozen=True)
class ModelSize:
    """The cost of one network on one image."""

    input_size: int
    """side of the square input in pixels"""
    macs: int
    """multiply-adds of convolutions and linear layers on one image"""
    parameters: int
    trained: int
    """parameters that trained"""
    stored_bytes: int
    """parameters and buffers"""


def model_size(run: Path, trust: Sequence[str] = ()) -> ModelSize | None:
    """Returns the cost of the network of a run's best checkpoint, on one image; None, with a warning, where
    it has none.

    `trust`: as `load_model`.
    """
    from dfd_train.runs.checkpoint import load_model
    from reseption_models.errors import UserError as NetworkError

    try:
        detector = load_model(run, trust=trust).detector
    except (OSError, UserError, NetworkError) as error:
        log.warning("no sizes of %s: %s", run, error)
        return None
    parameters = list(detector.network.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    stored = sum(t.numel() * t.element_size() for t in detector.network.state_dict().values())
    size = detector.spec.size
    try:
        macs = _macs(copy.deepcopy(detector.network), size, "meta")  # counted without computing
    except RuntimeError:  # what the network does with an image depends on more than shapes
        macs = _macs(detector.network, size, "cpu")
    return ModelSize(size, macs, sum(p.numel() for p in parameters), trained, stored)


def _macs(network: nn.Module, size: int, device: str) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.to(device)(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops()) // 2
