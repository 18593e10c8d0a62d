"""Which parameters of a network train: the thesis's levels (Table 5.2), norms only, the upper blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from dfd_train.errors import UserError
from dfd_train.settings.sections import LAST_BLOCKS, ModelConfig
from ffpp_prep.text.units import counted


def freeze(network: nn.Module, config: ModelConfig, lower: tuple[str, ...], added: set[nn.Parameter]) -> None:
    """Stops the parameters that the level leaves out; the classifier and what an adapter `added` always train.

    Args:
        network: whose parameters are stopped, in place.
        config: its `train_level`. "higher" is what Table 5.2 of the thesis trains.
        lower: the names of the parts that "higher" leaves out and "lower" takes, empty where unknown.
        added: an adapter's parameters.

    Raises:
        UserError: the level is not defined for this network.
    """
    level = config.train_level
    if level == "full":
        return
    classifier = classifier_of(network)
    if classifier is None:
        raise UserError(f"train_level {level}: {config.name} has no get_classifier(); allowed: full")
    if level in ("higher", "lower") and not lower:
        raise UserError(
            f"train_level {level} is not defined for {config.name}; allowed: full, classifier, norm, last-N"
        )
    kept = {*classifier.parameters(), *added}
    kept |= set(_of_level(network, level, lower, config.name))
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in kept)


def classifier_of(network: nn.Module) -> nn.Module | None:
    """Returns the network's last layer, as `get_classifier()` tells it; None where it doesn't."""
    finder: Any = getattr(network, "get_classifier", lambda: None)
    found = finder()
    return found if isinstance(found, nn.Module) else None


def layer_numbers(network: nn.Module, name: str) -> dict[str, int]:
    """Returns the number of each parameter's layer, from the stem's 0 upwards to the classifier's, by its name.

    Raises:
        UserError: the network has no `group_matcher`, by which timm's and ours tell their layers.
    """
    from timm.models._manipulate import group_with_matcher

    matcher: Any = getattr(network, "group_matcher", None)
    if matcher is None:
        raise UserError(f"{name} has no group_matcher(), so that its layers have no order")
    groups = group_with_matcher(network.named_parameters(), matcher(coarse=False), reverse=False)
    return {parameter: number for number, members in groups.items() for parameter in members}


def _of_level(network: nn.Module, level: str, lower: tuple[str, ...], name: str) -> Iterator[nn.Parameter]:
    if level == "norm":
        for module in network.modules():
            if "norm" in type(module).__name__.lower():  # torch's, timm's and transformers' are all called so
                yield from module.parameters(recurse=False)
    elif level in ("higher", "lower"):
        below = {parameter for part in lower for parameter in network.get_submodule(part).parameters()}
        yield from (one for one in network.parameters() if (one in below) == (level == "lower"))
    elif found := re.fullmatch(LAST_BLOCKS, level):
        yield from _last_blocks(network, int(found[1]), name)


def _last_blocks(network: nn.Module, count: int, name: str) -> Iterator[nn.Parameter]:
    """Yields the parameters of the last blocks below the classifier, and of all that stands above the first of them."""
    numbers = layer_numbers(network, name)
    top = max(numbers.values())
    if not 1 <= count < top:
        raise UserError(
            f"train_level last-{count}: {name} has {counted(top - 1, 'block')}; allowed: last-1 to last-{top - 1}"
        )
    for parameter, number in numbers.items():
        if number >= top - count:
            yield network.get_parameter(parameter)
