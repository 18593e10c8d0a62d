"""Any picture classifier of transformers, from the text of its config.json."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor, nn

from dfd_train.adopt.builders.encoders import need_transformers
from dfd_train.errors import UserError, first_line


def build(*, config: str, classes: int) -> nn.Module:
    """The network that config.json describes; code that comes with a model is never run."""
    transformers = need_transformers()
    tables = json.loads(config)
    kind = tables.get("model_type")
    if kind not in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        raise UserError(f"config.json: transformers knows no model_type {kind!r}")
    known = transformers.CONFIG_MAPPING[kind].from_dict(
        {**tables, "num_labels": classes} if "id2label" not in tables else tables
    )
    try:
        network = transformers.AutoModelForImageClassification.from_config(known, trust_remote_code=False)
    except ValueError as error:
        raise UserError(f"config.json: {kind} is no picture classifier ({first_line(error)})") from None
    return _Logits(network)


class _Logits(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=images).logits
        return logits
