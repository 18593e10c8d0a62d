"""Any picture classifier of transformers, from the text of its config.json."""

from __future__ import annotations

import json
import re
from typing import Any

import torch
from torch import Tensor, nn

from dfd_train.adopt.builders.encoders import need_transformers
from dfd_train.errors import UserError, first_line
from dfd_train.models.bounds import check_arguments

MOST = 10_000_000  # of a number in config.json; lists of text models' words and of labels count them


def build(*, config: str, classes: int) -> nn.Module:
    """Returns the network that config.json describes; code that comes with a model is never run."""
    transformers = need_transformers()
    tables = json.loads(config)
    check_arguments(tables, MOST)
    kind = tables.get("model_type")
    if kind not in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        raise UserError(f"config.json: transformers knows no model_type {kind!r}")
    known = transformers.CONFIG_MAPPING[kind].from_dict(tables)
    if not known.architectures:  # of a class that has several classifiers, the first
        names = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.get(
            kind, ()
        )
        known.architectures = [names] if isinstance(names, str) else list(names[:1])
    try:
        network = transformers.AutoModelForImageClassification.from_config(known, trust_remote_code=False)
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"config.json: {kind} is no picture classifier ({first_line(error)})") from None
    return _Logits(network)


def convert(state: dict[str, Tensor], network: Any) -> dict[str, Tensor]:
    """Turns names as transformers writes them into those that its installed version uses inside, by its own loading."""
    transformers = need_transformers()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    own = network.network
    found, report = type(own).from_pretrained(
        None,
        config=own.config,
        state_dict=dict(state),
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    done = {name: tensor for name, tensor in found.state_dict().items() if name not in report["missing_keys"]}
    for name in report["unexpected_keys"]:
        if not _UNUSED.fullmatch(name):
            done[name] = torch.zeros(0)
    for name, shape, *_ in report["mismatched_keys"]:
        done[name] = torch.zeros(tuple(shape))
    return {f"network.{name}": tensor for name, tensor in done.items()}


# buffers that older versions saved
_UNUSED = re.compile(r"(.*\.)?(position_ids|relative_position_index|attn_mask|relative_coords_table)")


class _Logits(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=images).logits
        return logits
