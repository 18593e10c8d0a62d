"""The named networks and their configurations, without building one: nothing here loads torch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig, shown
from .errors import UnknownArgument, UserError


@dataclass(frozen=True)
class Entry:
    """A named network, with what it costs as `profiling.count_cost` counts it."""

    name: str
    config: ReseptionConfig | EnsembleConfig
    description: str
    parameters: int
    giga_multiply_adds: float
    """Of convolutions and linear layers for one image, rounded to three decimals."""


_V1, _V2 = RESEPTION_V1, RESEPTION_V2
_V1_TINY, _V2_TINY = (
    replace(base, width_multiplier=0.25, depth_multiplier=0.34, input_size=128) for base in (_V1, _V2)
)
_V1_SMALL, _V2_SMALL = (replace(base, width_multiplier=0.5, input_size=224) for base in (_V1, _V2))
_V1_DEEP, _V2_DEEP = (replace(base, depth_multiplier=2.0) for base in (_V1, _V2))
_TINY = "a quarter of the widths, one block a stage, 128 px: tests and demonstrations"
_SMALL = "half the widths, 224 px: phones"
_BOTH = EnsembleConfig((_V1_TINY, _V2_TINY), features=64)
_ENTRIES = {
    entry.name: entry
    for entry in [
        Entry("reseption_v1", _V1, "Reseption V1 as in the thesis", 16_888_257, 5.134),
        Entry("reseption_v1_tiny", _V1_TINY, _TINY, 505_545, 0.028),
        Entry("reseption_v1_small", _V1_SMALL, _SMALL, 4_230_113, 0.647),
        Entry("reseption_v1_deep", _V1_DEEP, "twice the blocks", 30_642_945, 8.203),
        Entry("reseption_v2", _V2, "Reseption V2 as in the thesis", 15_751_233, 4.769),
        Entry("reseption_v2_tiny", _V2_TINY, _TINY, 573_265, 0.030),
        Entry("reseption_v2_small", _V2_SMALL, _SMALL, 3_968_089, 0.601),
        Entry("reseption_v2_deep", _V2_DEEP, "twice the blocks", 26_445_665, 6.887),
        Entry(
            "reseption_ensemble",
            RESEPTION_ENSEMBLE,
            "Reseption V1 and V2, as in the thesis",
            34_096_865,
            9.904,
        ),
        Entry("reseption_ensemble_tiny", _BOTH, "the tiny V1 and V2", 1_123_921, 0.058),
    ]
}


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that match a shell pattern, such as `"*_tiny"`."""
    return [name for name in _ENTRIES if fnmatchcase(name, pattern)]


def model_entry(name: str) -> Entry:
    """Returns what is registered under a name; ValueError for an unknown one."""
    if name not in _ENTRIES:
        raise UserError(f"there is no model {name!r}; allowed: {', '.join(_ENTRIES)}")
    return _ENTRIES[name]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def model_config(
    name: str, num_classes: int = 1, in_chans: int = 3, drop_rate: float = 0.2, **overrides: object
) -> ReseptionConfig | EnsembleConfig:
    """Returns the configuration of a named network, with fields replaced; ValueError for unknown ones."""
    config = model_entry(name).config
    _check_norm(overrides.pop("norm_layer", "batchnorm2d"))
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
    _check_overrides(name, overrides, ["features", "final_drop_rate", *_OF_MEMBERS])
    members = tuple(
        replace(member, num_classes=0, in_chans=in_chans, drop_rate=drop_rate, **overrides)  # type: ignore[arg-type]
        for member in config.members
    )
    return replace(config, members=members, num_classes=num_classes, drop_rate=drop_rate, **own)  # type: ignore[arg-type]


def _check_norm(norm: object) -> None:
    """Raises ValueError unless what timm's users ask for as `norm_layer` is batch norm, which all weights have."""
    named = norm if isinstance(norm, str) else getattr(norm, "__name__", repr(norm))
    if named.lower() not in ("batchnorm2d", "batchnorm"):
        raise UserError(
            f"norm_layer is {shown(named)}; allowed: batchnorm2d (a network that is made can be changed: "
            "timm.layers.convert_sync_batchnorm, timm.layers.freeze_batch_norm_2d)"
        )


_OF_MEMBERS = (
    *("width_multiplier", "depth_multiplier", "input_size"),
    *("drop_path_rate", "act_layer", "bn_momentum", "bn_eps"),
)
"""fields that all members of an ensemble take alike"""


def _names(owner: type[ReseptionConfig]) -> list[str]:
    return [field.name for field in fields(owner)]


def _check_overrides(name: str, overrides: dict[str, object], allowed: Sequence[str]) -> None:
    unknown = sorted(set(overrides) - set(allowed))
    if unknown:
        raise UnknownArgument(f"{name} has no {', '.join(unknown)}; allowed: {', '.join(allowed)}")
