"""A network is counted before it is allocated: what a file's settings ask for may be more than any machine holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from dfd_train.errors import UserError
from ffpp_prep.machine import memory as machine_memory
from ffpp_prep.options import shown

LARGEST = 65_536  # of a number among a network's arguments: widths, depths, classes, sizes
MOST_PARTS = 20_000  # tensors and modules; the largest networks of timm have some thousands


@dataclass(frozen=True)
class Bounds:
    """How much a network may hold."""

    parts: int
    """modules and tensors of parameters, each"""
    numbers: int
    """in all parameters and buffers together"""
    whose: str
    """what sets the bounds, for the message"""

    @contextmanager
    def shapes_only(self, name: str) -> Iterator[None]:
        """Builds the networks inside its block without memory; gives one up that grows too large.

        Raises: UserError.
        """
        modules = parts = numbers = 0

        def count_module(_: nn.Module, __: str, ___: nn.Module | None) -> None:
            nonlocal modules
            modules += 1
            self._check(name, max(modules, parts), numbers)

        def count_tensor(_: nn.Module, __: str, tensor: Tensor | None) -> None:
            nonlocal parts, numbers
            if tensor is not None:
                parts, numbers = parts + 1, numbers + tensor.numel()
            self._check(name, max(modules, parts), numbers)

        handles = (
            register_module_module_registration_hook(count_module),
            register_module_parameter_registration_hook(count_tensor),
            register_module_buffer_registration_hook(count_tensor),
        )
        try:
            with torch.device("meta"):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _check(self, name: str, parts: int, numbers: int) -> None:
        if parts > self.parts or numbers > self.numbers:
            raise UserError(
                f"model {name}: its arguments ask for more than {self.parts} layers or {self.numbers} parameters, "
                f"which is all that {self.whose} can hold"
            )


def check_arguments(arguments: Mapping[str, object], most: int = LARGEST) -> None:
    """Refuses numbers from which a network would make a list before its first layer, those of a list all together.

    Raises: UserError.
    """
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            check_arguments({f"{name}.{key}": one for key, one in value.items()}, most)
        elif not _total(value) <= most:
            raise UserError(f"model.arguments.{name} is {shown(value)}: at most {most} is allowed")


def _total(value: object) -> float:
    """Returns the sum of the sizes of all numbers in a value; infinity where one is none, or far too large."""
    if isinstance(value, tuple | list):
        return sum(map(_total, value))
    if not isinstance(value, int | float):
        return 0.0
    return float(abs(value)) if abs(value) < 1e300 else math.inf


def of_this_machine() -> Bounds:
    """Returns a network whose parameters fit into the memory."""
    memory = machine_memory()
    return Bounds(MOST_PARTS, memory // 4, f"this machine, with {memory / 1e9:.0f} GB of memory,")


def of_weights(weights: Mapping[str, Any], whose: str) -> Bounds:
    """Returns a network that is not many times as large as its weights; whether they fit exactly is for
    loading them.
    """
    tensors = [value for value in weights.values() if isinstance(value, Tensor)]
    numbers = sum(_stored(tensor) for tensor in tensors)
    return Bounds(20 * len(tensors) + 1000, 2 * numbers + 10_000_000, whose)


def _stored(tensor: Tensor) -> int:
    """Returns the numbers that a file holds of a tensor: a view may repeat one of them without end."""
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())
