"""The networks by name: `create_model`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from .catalog import model_config, model_entry
from .checkpoints import load_checkpoint
from .config import EnsembleConfig, check_global_pool
from .ensemble import Network, build
from .errors import UserError
from .features import FeatureExtractor
from .weights import from_pretrained


def create_model(
    name: str,
    *,
    pretrained: str | Path | bool | None = None,
    checkpoint_path: str | Path | None = None,
    adapt_head: bool = False,
    num_classes: int = 1,
    in_chans: int = 3,
    drop_rate: float = 0.2,
    global_pool: str = "avg",
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **overrides: object,
) -> nn.Module:
    """Returns a named network, with random weights unless others are named.

    Args:
        name: one of `list_models()`.
        pretrained: a folder that `save_pretrained` wrote, or a hub id; its architecture must be this one.
            None and False leave the weights random; True is an error, because no trained weights are shipped.
        checkpoint_path: a checkpoint file, see `load_checkpoint`.
        adapt_head: draw a new classifier if that of the weights has another size.
        num_classes: logits; 0 leaves the classifier out, so that the pooled features come out.
        in_chans: channels of the input.
        drop_rate: dropout before the classifier (in an ensemble: before each member's linear layer).
        global_pool: avg, max, avgmax, or with `num_classes=0` '' for the last feature map; an ensemble: only avg.
        features_only: return the feature maps of `out_indices` instead of logits.
        out_indices: with `features_only`, levels of `feature_info`; None for all, a number for the last so many.
        device: where its tensors are made; the default device for None.
        dtype: of its floating-point tensors; torch's default for None.
        overrides: fields of `ReseptionConfig`, such as `width_multiplier`; for an ensemble those that
            its members share, and `features` and `final_drop_rate`.

    Raises:
        ValueError: an unknown name or field, a value out of its range, or weights that do not fit.
        FileNotFoundError: there are no such weights.
        IsADirectoryError, NotADirectoryError: a folder as `checkpoint_path`, a file as `pretrained`.
    """
    if pretrained is True:
        raise UserError(
            "pretrained is True, but no trained weights are shipped; allowed: a folder that save_pretrained wrote, "
            "a hub id (a checkpoint file: checkpoint_path)"
        )
    if out_indices is not None and not features_only:
        raise UserError(f"out_indices is {out_indices!r}; allowed with features_only=True")
    if isinstance(model_entry(name).config, EnsembleConfig):
        check_global_pool(global_pool, num_classes, ("avg",))
    else:
        overrides["global_pool"] = global_pool
    config = model_config(name, num_classes, in_chans, drop_rate, **overrides)
    with torch.device(device) if device is not None else nullcontext():
        network = build(config)
    network.to(dtype=dtype)
    if pretrained is not None and pretrained is not False:
        _load_pretrained(network, name, pretrained, adapt_head)
    if checkpoint_path is not None:
        load_checkpoint(network, checkpoint_path, adapt_head=adapt_head)
    return FeatureExtractor(network, out_indices) if features_only else network


_NOT_OF_WEIGHTS = (
    "num_classes",
    "drop_rate",
    "drop_path_rate",
    "bn_momentum",
    "input_size",
)  # they fit with any


def _load_pretrained(network: Network, name: str, source: str | Path, adapt_head: bool) -> None:
    """Loads the weights and card of a source of this network; its head and what only training uses may differ."""
    loaded = from_pretrained(source)
    if _architecture(loaded) != _architecture(network) or _function(loaded) != _function(network):
        raise UserError(
            f"{source} does not hold {name} with these settings: {_differences(loaded, network)}; "
            "from_pretrained loads what it holds"
        )
    if loaded.num_classes != network.num_classes:
        if not adapt_head:
            raise UserError(
                f"logits: {source} has {loaded.num_classes}, {network.num_classes} were asked for; "
                "allowed with adapt_head=True"
            )
        loaded.reset_classifier(network.num_classes)
    network.load_state_dict(loaded.state_dict())
    network.card = loaded.card


def _architecture(network: Network) -> list[tuple[str, tuple[int, ...]]]:
    """Returns what decides which weights fit: names and shapes, without the classifier."""
    state = network.state_dict()
    return [(name, tuple(value.shape)) for name, value in state.items() if not name.startswith("fc.")]


def _function(network: Network) -> list[tuple[object, ...]]:
    """Returns what, beside the weights, decides which logits come out; pooling only where a classifier follows."""
    config = network.config
    assert config is not None
    members = config.members if isinstance(config, EnsembleConfig) else (config,)
    return [(one.act_layer, one.bn_eps, one.global_pool) for one in members]


def _differences(loaded: Network, network: Network) -> str:
    """Says which settings make two networks differ in their weights, the first two with their values."""
    there, here = _settings(loaded), _settings(network)
    found = [key for key in there | here if there.get(key) != here.get(key)]
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""
    return "; ".join(f"{key} is {there.get(key)} there, {here.get(key)} here" for key in found[:2]) + more


def _settings(network: Network) -> dict[str, object]:
    """Returns by name what decides the shapes of a network's weights, its classifier left out."""
    config = network.config
    assert config is not None
    settings: dict[str, object] = {"architecture": type(network).__name__}
    if isinstance(config, EnsembleConfig):
        settings["features"] = config.features
    for number, member in enumerate(config.members if isinstance(config, EnsembleConfig) else (config,)):
        prefix = f"members[{number}]." if isinstance(config, EnsembleConfig) else ""
        settings |= {
            f"{prefix}{key}": value for key, value in asdict(member).items() if key not in _NOT_OF_WEIGHTS
        }
    return settings
