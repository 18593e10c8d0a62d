"""Optimizers by name, and what happens to gradients between the backward pass and the step."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch_optimizer
from torch import nn

from dfd_train.errors import UserError, first_line
from dfd_train.optim.radam import RAdam
from dfd_train.settings.config import OptimizerConfig
from ffpp_prep.command_line.suggest import did_you_mean, listed

UNFIT = {
    "Adahessian": "it needs second derivatives",
    "LBFGS": "it computes the loss several times a step",
    "Lookahead": "it wraps another optimizer",
    "Muon": "it takes matrices only",
    "SparseAdam": "it takes sparse gradients only",
}
"""Optimizers that the training loop cannot drive, and why."""


def make_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """Returns the optimizer over trained parameters, or groups of them as torch's optimizers take them.

    `radam` is torch-optimizer's, as the thesis used, for all weights at once; `sgd` has momentum; any other name is
    looked up in torch.optim, then in torch_optimizer, upper and lower case alike.

    Raises: UserError for an unknown name or argument, or a value that the optimizer cannot use.
    """
    kind = _find_optimizer(config.name)
    arguments: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay, **config.arguments}
    accepted = inspect.signature(kind).parameters
    if kind is torch.optim.SGD:
        arguments.setdefault("momentum", config.momentum)
    if "weight_decay" not in accepted and not config.weight_decay:
        arguments.pop("weight_decay")
    unknown = [name for name in arguments if name not in accepted]
    if unknown:
        allowed = ", ".join(name for name in accepted if name != "params")
        raise UserError(f"optimizer {config.name} takes no argument {', '.join(unknown)}; allowed: {allowed}")
    trained: list[Any] = list(parameters)
    first = trained[0]["params"][0] if isinstance(trained[0], dict) else trained[0]
    try:
        _try_out(kind, first, arguments)
        return kind(trained, **arguments)
    except Exception as error:  # whatever an optimizer makes of arguments that it cannot use
        if not config.arguments:
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise UserError(f"optimizer {config.name} with {given}: {first_line(error)}") from None


def add_gradient_noise(
    parameters: Iterable[nn.Parameter], *, eta: float, gamma: float, t: int, seed: int, step: int
) -> None:
    """Adds N(0, eta / (1 + t)^gamma) to every gradient; eta / … is a variance (thesis section 7.1.2, [48]).

    `t` counts epochs or steps; the noise is a function of (seed, step).
    """
    deviation = (eta / (1.0 + t) ** gamma) ** 0.5
    generators: dict[torch.device, torch.Generator] = {}
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.device not in generators:
            generators[gradient.device] = torch.Generator(gradient.device).manual_seed(mix_seed(seed, step))
        generator = generators[gradient.device]
        gradient.add_(
            torch.randn(gradient.shape, generator=generator, device=gradient.device, dtype=gradient.dtype),
            alpha=deviation,
        )


def mix_seed(*numbers: int) -> int:
    """Returns one 63-bit seed from several small numbers, such as (seed, step, rank)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _try_out(kind: type[torch.optim.Optimizer], parameter: nn.Parameter, arguments: dict[str, Any]) -> None:
    """Takes two steps with a stand-in: some arguments are looked at only then."""
    stand_in = torch.ones_like(parameter, requires_grad=True)
    stand_in.grad = torch.ones_like(stand_in)
    optimizer = kind([stand_in], **arguments)
    for _ in range(2):
        optimizer.step()


def _find_optimizer(name: str) -> type[torch.optim.Optimizer]:
    if name.lower() == "radam":
        return RAdam
    for unfit, reason in UNFIT.items():
        if unfit.lower() == name.lower():
            raise UserError(f"optimizer {unfit} cannot train here: {reason}")
    known = dict(reversed([*_optimizers(torch.optim), *_optimizers(torch_optimizer)]))
    found = next((kind for known_name, kind in known.items() if known_name.lower() == name.lower()), None)
    if found is None:
        names = sorted(known)
        raise UserError(f"unknown optimizer {name!r}{listed(did_you_mean(name, names), 'allowed', names)}")
    return found


def _optimizers(module: ModuleType) -> Iterator[tuple[str, type[torch.optim.Optimizer]]]:
    """Yields the optimizers of a module that the training loop can drive."""
    for name, value in vars(module).items():
        is_one = inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
        if is_one and value is not torch.optim.Optimizer and name not in UNFIT:
            yield name, value
