"""Where a network computes."""

from __future__ import annotations

from typing import get_args

import torch

from dfd_train.engine.processes import Processes
from dfd_train.errors import UserError
from dfd_train.settings.sections import Device


def choose_device(name: str, processes: Processes | None = None) -> torch.device:
    """Returns the device of a name: auto takes a GPU where there is one; each of several processes takes its own.

    Raises: UserError where there is none.
    """
    if name not in get_args(Device):
        raise UserError(f"device={name}: must be {', '.join(get_args(Device))}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device is cuda, but torch sees no GPU here; allowed: auto, cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if processes is not None and processes.count > 1:
        return torch.device("cuda", processes.local_rank)
    return torch.device("cuda", torch.cuda.current_device())


def device_name(device: torch.device) -> str:
    """Returns what the device is called in environment.json."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
