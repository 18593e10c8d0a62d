"""The networks by name: `create_model` and `list_models`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig
from .ensemble import Network, build
from .errors import UserError
from .features import FeatureExtractor
from .reseption import check_global_pool
from .weights import from_pretrained, load_checkpoint


@dataclass(frozen=True)
class Entry:
    """A named network."""

    name: str
    config: ReseptionConfig | EnsembleConfig
    description: str


def _variants(name: str, base: ReseptionConfig) -> list[Entry]:
    title = name.replace("reseption_v", "Reseption V")
    return [
        Entry(name, base, f"{title} as in the thesis"),
        Entry(f"{name}_tiny", replace(base, width_multiplier=0.25, depth_multiplier=0.34, input_size=128),
              "a quarter of the widths, one block a stage, 128 px: tests and demonstrations"),
        Entry(f"{name}_small", replace(base, width_multiplier=0.5, input_size=224),
              "half the widths, 224 px: phones"),
        Entry(f"{name}_deep", replace(base, depth_multiplier=2.0), "twice the blocks"),
    ]  # fmt: skip


_V1, _V2 = _variants("reseption_v1", RESEPTION_V1), _variants("reseption_v2", RESEPTION_V2)
_ENTRIES = {
    entry.name: entry
    for entry in [
        *_V1,
        *_V2,
        Entry("reseption_ensemble", RESEPTION_ENSEMBLE, "Reseption V1 and V2, as in the thesis"),
        Entry(
            "reseption_ensemble_tiny",
            EnsembleConfig((_V1[1].config, _V2[1].config), features=64),  # type: ignore[arg-type]
            "the tiny V1 and V2",
        ),
    ]
}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the networks that match a shell pattern, such as `"*_tiny"`."""
    return [name for name in _ENTRIES if fnmatchcase(name, pattern)]


def model_entry(name: str) -> Entry:
    """Return what is registered under a name; ValueError for an unknown one."""
    if name not in _ENTRIES:
        raise UserError(f"there is no model {name!r}; allowed: {', '.join(_ENTRIES)}")
    return _ENTRIES[name]


def model_config(
    name: str, num_classes: int = 1, in_chans: int = 3, drop_rate: float = 0.2, **overrides: object
) -> ReseptionConfig | EnsembleConfig:
    """Return the configuration of a named network, with fields replaced; ValueError for unknown ones."""
    config = model_entry(name).config
    if isinstance(config, ReseptionConfig):
        _check_overrides(name, overrides, _names(ReseptionConfig))
        return replace(
            config,
            num_classes=num_classes,
            in_chans=in_chans,
            drop_rate=drop_rate,
            **overrides,  # type: ignore[arg-type]
        )
    own = {key: overrides.pop(key) for key in ("features", "final_drop_rate") if key in overrides}
    shared = ("width_multiplier", "depth_multiplier", "input_size")
    _check_overrides(name, overrides, ["features", "final_drop_rate", *shared])
    members = tuple(
        replace(member, num_classes=0, in_chans=in_chans, drop_rate=drop_rate, **overrides)  # type: ignore[arg-type]
        for member in config.members
    )
    return replace(config, members=members, num_classes=num_classes, drop_rate=drop_rate, **own)  # type: ignore[arg-type]


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
    **overrides: object,
) -> nn.Module:
    """Return a named network, newly drawn unless weights are named.

    Args:
        name: one of `list_models()`.
        pretrained: a folder that `save_pretrained` wrote, or a hub id; its architecture must be this one.
            None and False leave the network newly drawn; True is an error, as no trained weights are shipped.
        checkpoint_path: a checkpoint file, see `load_checkpoint`.
        adapt_head: draw a new classifier where that of the weights has another size.
        num_classes: logits; 0 leaves the classifier out, so that the pooled features come out.
        in_chans: channels of the input.
        drop_rate: dropout before the classifier (in an ensemble: before each member's linear layer).
        global_pool: as in timm; only `avg`.
        features_only: return the feature maps of `out_indices` instead of logits.
        out_indices: with `features_only`, levels of `feature_info`; None for all, a number for the last so many.
        overrides: fields of `ReseptionConfig`, such as `width_multiplier`; for an ensemble those that
            scale its members, and `features` and `final_drop_rate`.

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
    check_global_pool(global_pool)
    config = model_config(name, num_classes, in_chans, drop_rate, **overrides)
    network = build(config)
    if pretrained is not None and pretrained is not False:
        _load_pretrained(network, name, pretrained, adapt_head)
    if checkpoint_path is not None:
        load_checkpoint(network, checkpoint_path, adapt_head=adapt_head)
    return FeatureExtractor(network, out_indices) if features_only else network


def _load_pretrained(network: Network, name: str, source: str | Path, adapt_head: bool) -> None:
    """Load the weights and the card of a source that holds this network, up to its dropout and head."""
    loaded = from_pretrained(source)
    if _architecture(loaded) != _architecture(network):
        raise UserError(
            f"{source} does not hold {name} with these settings: {_differences(loaded, network)}; "
            "from_pretrained loads what it holds"
        )
    if loaded.num_classes != network.num_classes:
        if not adapt_head:
            raise UserError(
                f"{source} has {loaded.num_classes} logits, {network.num_classes} were asked for; "
                "allowed with adapt_head=True"
            )
        loaded.reset_classifier(network.num_classes)
    network.load_state_dict(loaded.state_dict())
    network.card = loaded.card


def _architecture(network: Network) -> list[tuple[str, tuple[int, ...]]]:
    """Return what decides which weights fit: names and shapes, without the classifier."""
    state = network.state_dict()
    return [(name, tuple(value.shape)) for name, value in state.items() if not name.startswith("fc.")]


def _differences(loaded: Network, network: Network) -> str:
    """Say which settings make two networks differ in their weights, the first two with their values."""
    there, here = _settings(loaded), _settings(network)
    found = [key for key in there | here if there.get(key) != here.get(key)]
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""
    return "; ".join(f"{key} is {there.get(key)} there, {here.get(key)} here" for key in found[:2]) + more


def _settings(network: Network) -> dict[str, object]:
    """Return by name what decides the shapes of a network's weights, its classifier left out."""
    config = network.config
    assert config is not None
    settings: dict[str, object] = {"architecture": type(network).__name__}
    if isinstance(config, EnsembleConfig):
        settings["features"] = config.features
    for number, member in enumerate(config.members if isinstance(config, EnsembleConfig) else (config,)):
        prefix = f"members[{number}]." if isinstance(config, EnsembleConfig) else ""
        settings |= {
            f"{prefix}{key}": value
            for key, value in member.to_dict().items()
            if key not in ("num_classes", "drop_rate", "input_size")
        }
    return settings


def _names(owner: type[ReseptionConfig]) -> list[str]:
    return [field.name for field in fields(owner)]


def _check_overrides(name: str, overrides: dict[str, object], allowed: Sequence[str]) -> None:
    unknown = sorted(set(overrides) - set(allowed))
    if unknown:
        raise UserError(f"{name} has no {', '.join(unknown)}; allowed: {', '.join(allowed)}")
