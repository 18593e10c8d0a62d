"""Where Grad-CAM looks: the last feature map that still has a height and a width."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def last_maps(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """The modules that return the last maps (1, C, h, w), h and w above 1: one, or of an ensemble one a member.

    `image` (1, 3, S, S) goes through the network to find them; a module ends after its parts, so of those that return
    the same map the outermost one is taken.

    Raises: ValueError for a network without such a map.
    """
    members = getattr(network, "members", None)
    parts = list(members) if isinstance(members, nn.ModuleList) else [network]
    found: dict[int, nn.Module] = {}

    def watch(part: int) -> Any:
        def hook(module: nn.Module, _: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                found[part] = module

        return hook

    handles = [
        module.register_forward_hook(watch(number))
        for number, part in enumerate(parts)
        for module in part.modules()
    ]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    if len(found) < len(parts):
        raise ValueError(f"Grad-CAM needs a feature map, and this {type(network).__name__} has none")
    return [found[number] for number in range(len(parts))]
