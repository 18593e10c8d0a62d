"""Groups of parameters with rates of their own: smaller in lower layers, or as told by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import nn

from dfd_train.errors import UserError
from dfd_train.models.levels import layer_numbers
from dfd_train.settings.sections import OptimizerConfig

FACTOR = "lr_factor"
"""The key of a group's factor of the learning rate."""


def parameter_groups(network: nn.Module, config: OptimizerConfig, name: str) -> list[dict[str, Any]]:
    """Returns the parameters that train, as groups for an optimizer; one group where all have the same rate.

    Raises:
        UserError: a name in `rates` that no trained parameter begins with; a network whose layers have no order.
    """
    trained = {path: one for path, one in network.named_parameters() if one.requires_grad}
    if not trained:
        raise UserError("the model has no parameter that trains")
    factors = _by_layer(network, trained, config.layer_decay, name)
    for path in trained:
        if begins := [begin for begin in config.rates if path.startswith(begin)]:
            factors[path] *= config.rates[max(begins, key=len)]
    if unused := [begin for begin in config.rates if not any(path.startswith(begin) for path in trained)]:
        raise UserError(f"optimizer.rates: no trained parameter of {name} begins with {unused[0]!r}")
    groups: dict[float, list[nn.Parameter]] = defaultdict(list)
    for path, parameter in trained.items():
        groups[factors[path]].append(parameter)
    return [{"params": members, FACTOR: factor} for factor, members in groups.items()]


def _by_layer(
    network: nn.Module, trained: Mapping[str, nn.Parameter], decay: float, name: str
) -> dict[str, float]:
    """Returns a factor for each parameter: 1 in the classifier, `decay` in the layer below, its square below that."""
    if decay == 1:
        return dict.fromkeys(trained, 1.0)
    numbers = layer_numbers(network, name)
    top = max(numbers.values())
    return {path: decay ** (top - numbers[path]) for path in trained}
