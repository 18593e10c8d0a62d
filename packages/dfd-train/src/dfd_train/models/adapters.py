"""Small trained additions to the frozen layers of a large network: LoRA, and Effort's residual of singular vectors."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfd_train.errors import UserError
from dfd_train.settings.sections import ModelConfig

ATTENTION = "attn"
"""A part of the names of the layers that are adapted where none are named: timm calls attention so."""


def adapt(network: nn.Module, config: ModelConfig, *, decompose: bool) -> set[nn.Parameter]:
    """Adds the configuration's adapter to linear layers, in place; returns what of it trains, nothing without one.

    Args:
        network: with the weights that stay.
        config: its adapter, `adapter_rank`, `adapter_alpha` and `adapter_layers`.
        decompose: whether "residual" takes the weights apart. Not where a checkpoint's are about to replace them.

    Raises:
        UserError: there is no such layer, the rank is too large, or peft is missing.
    """
    if config.adapter == "off":
        return set()
    before = set(network.parameters())
    layers = _layers(network, config)
    if config.adapter == "lora":
        _lora(network, config, list(layers))
    else:
        for name, layer in layers.items():
            network.set_submodule(name, ResidualLinear(layer, config.adapter_rank, decompose=decompose))
    return {
        parameter
        for name, parameter in network.named_parameters()
        if parameter not in before and not name.endswith(".main")
    }


def _layers(network: nn.Module, config: ModelConfig) -> dict[str, nn.Linear]:
    """Returns the linear layers to adapt, by name."""
    linear = {name: one for name, one in network.named_modules() if isinstance(one, nn.Linear)}
    if wanted := config.adapter_layers:
        if unknown := [end for end in wanted if not any(name.endswith(end) for name in linear)]:
            raise UserError(
                f"adapter_layers: {config.name} has no linear layer whose name ends in {unknown[0]!r}"
            )
        found = {name: one for name, one in linear.items() if name.endswith(wanted)}
    else:
        found = {name: one for name, one in linear.items() if ATTENTION in name.split(".")}
        if not found:
            raise UserError(
                f"adapter: {config.name} has no attention with linear layers; name some in adapter_layers"
            )
    smallest = min(min(one.in_features, one.out_features // _matrices(one)) for one in found.values())
    if config.adapter_rank >= smallest:
        raise UserError(
            f"adapter_rank is {config.adapter_rank}; allowed: 1 to {smallest - 1} for these layers"
        )
    return found


def _lora(network: nn.Module, config: ModelConfig, names: list[str]) -> None:
    try:
        peft: Any = importlib.import_module("peft")
    except ImportError:
        raise UserError("adapter lora needs peft: pip install 'dfd-train[lora]'") from None
    lora = peft.LoraConfig(r=config.adapter_rank, lora_alpha=config.adapter_alpha, target_modules=names)
    peft.inject_adapter_in_model(lora, network)


class ResidualLinear(nn.Module):
    """A linear layer whose smallest singular directions train and whose others stay (Effort, arXiv 2411.15633).

    A layer that computes several matrices at once, as attention's query, key and value, is taken apart into them first.

    Args:
        layer: whose weight it takes.
        rank: how many singular directions of each matrix train.
        decompose: False: random directions of strength 0 in their place, of weights that are random too or are about to
            be replaced: decomposing CLIP's takes a minute.
    """

    def __init__(self, layer: nn.Linear, rank: int, *, decompose: bool = True) -> None:
        super().__init__()
        weight = layer.weight.detach().view(_matrices(layer), -1, layer.in_features)
        count, rows, columns = weight.shape
        if decompose:
            left, values, right = torch.linalg.svd(weight, full_matrices=False)
            u, s, v = left[..., -rank:].clone(), values[..., -rank:].clone(), right[..., -rank:, :].clone()
        else:
            u = torch.randn_like(weight[..., :rank]) * rows**-0.5
            v = torch.randn_like(weight[:, :rank]) * columns**-0.5
            s = weight.new_zeros(count, rank)
        self.main = nn.Parameter(weight - (u * s.unsqueeze(-2)) @ v, requires_grad=False)
        self.u, self.s, self.v = nn.Parameter(u), nn.Parameter(s), nn.Parameter(v)
        self.bias = layer.bias

    def forward(self, features: Tensor) -> Tensor:
        """Returns what the layer did with its weight as it is now."""
        weight = self.main + (self.u * self.s.unsqueeze(-2)) @ self.v
        return functional.linear(features, weight.flatten(0, 1), self.bias)


def _matrices(layer: nn.Linear) -> int:
    """Returns how many matrices a layer computes at once: three where query, key and value are one."""
    return 3 if layer.out_features == 3 * layer.in_features else 1
