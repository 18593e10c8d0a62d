"""The networks of the thesis, from its author's own checkpoints or from ours."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor, nn

from dfd_train.errors import UserError


def build(*, model: str, classes: int) -> nn.Module:
    """Returns a network of reseption-models by its name."""
    from reseption_models import create_model, list_models

    if model not in list_models():
        raise UserError(f"reseption-models has no {model!r}; allowed: {', '.join(list_models())}")
    return create_model(model, num_classes=classes)


def saved(*, config: str, classes: int) -> nn.Module:
    """Returns the network that the text of a config.json of `save_pretrained` describes: architecture and config."""
    from reseption_models.config_file import parse_config
    from reseption_models.ensemble import build as build_network

    network = build_network(parse_config(Path("DETECTOR"), json.loads(config)))
    if network.num_classes != classes:
        raise UserError(f"output.classes is {classes}, must be {network.num_classes} as the network has it")
    return network


def convert(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Returns the thesis's names and conventions (BGR, 1 = real) as ours."""
    from reseption_models.thesis import convert_thesis_state, is_thesis_state

    return convert_thesis_state(state) if is_thesis_state(state) else state
