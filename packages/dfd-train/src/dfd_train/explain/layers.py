"""Where Grad-CAM looks: the last feature map before it is pooled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dfd_train.errors import UserError


def last_maps(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """Returns the modules that return the last maps (1, C, h, w) of `image` (1, 3, S, S): one, or of an
    ensemble one a member.

    Raises: UserError for a network without such a map.
    """
    members = getattr(network, "members", None)
    parts = list(members) if isinstance(members, nn.ModuleList) else [network]
    return [_last_map(part, image.to(_dtype(part, image))) for part in parts]


def _dtype(network: nn.Module, image: Tensor) -> torch.dtype:
    """Returns the type of the network's weights, which may be bf16."""
    return next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), image.dtype)


def _last_map(network: nn.Module, image: Tensor) -> nn.Module:
    """Returns what `forward_features` returns, as timm and reseption-models have it; of others, the last map
    with a width.

    A module ends after its parts, so of those that return the same map the outermost one is taken.
    """
    features: Any = getattr(network, "forward_features", None)
    maps: list[tuple[nn.Module, Tensor]] = []

    def watch(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            maps.append((module, output))

    handles = [module.register_forward_hook(watch) for module in network.modules()]
    try:
        with torch.no_grad():
            last = (features or network)(image)
    finally:
        for handle in handles:
            handle.remove()
    for module, output in reversed(maps):
        if output is last or (features is None and min(output.shape[2:]) > 1):
            return module
    raise UserError(f"Grad-CAM needs a feature map, and this {type(network).__name__} has none")
