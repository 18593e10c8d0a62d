"""The named networks and their configurations, without building one: nothing here loads torch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from .config import RESEPTION_ENSEMBLE, RESEPTION_V1, RESEPTION_V2, EnsembleConfig, ReseptionConfig
from .errors import UserError


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


def _names(owner: type[ReseptionConfig]) -> list[str]:
    return [field.name for field in fields(owner)]


def _check_overrides(name: str, overrides: dict[str, object], allowed: Sequence[str]) -> None:
    unknown = sorted(set(overrides) - set(allowed))
    if unknown:
        raise UserError(f"{name} has no {', '.join(unknown)}; allowed: {', '.join(allowed)}")
