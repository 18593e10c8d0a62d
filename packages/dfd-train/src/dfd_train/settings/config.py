"""Checking settings, from wherever they come: TOML files, `--set section.field=value`, flags.

The declarations in `sections` are the only list of settings; the TOML file, the command line's flags and the error
messages derive from them.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from dfd_train.errors import UserError
from dfd_train.settings.sections import (
    DataConfig,
    DegradationConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
    TransformConfig,
)
from dfd_train.settings.synonyms import RENAMED, SYNONYMS
from ffpp_prep.command_line.suggest import did_you_mean, listed
from ffpp_prep.options import allowed, shown

__all__ = [
    "DataConfig",
    "DegradationConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "RunConfig",
    "ScheduleConfig",
    "Setting",
    "TrainConfig",
    "TransformConfig",
    "build_config",
    "changed_settings",
    "merged",
    "settings",
    "to_tables",
]

_TOML = {"a tuple": "a list", "a dictionary": "a table", "True or False": "true or false", "None": "none"}


@dataclass(frozen=True)
class Setting:
    """One field of the configuration, as the command line shows it."""

    name: str
    """section.field"""
    description: str
    default: object
    choices: tuple[str, ...]
    """all that is allowed, where that is a list of names; otherwise empty"""
    texts: bool
    """it is a list of any number of texts"""


# What may differ when a run is resumed: where things are and how fast they go, not what comes out; and its length,
# which `engine.length.check_length` compares with what the run has done.
RESUMABLE = frozenset(
    {
        "train.epochs",
        "train.max_steps",
        "data.work",
        "data.also",
        "data.workers",
        "transforms.on",
        "train.device",
        "train.threads",
        "train.checkpoint_minutes",
        "train.tensorboard",
        "train.wandb",
        "train.mlflow",
    }
)


def settings() -> Iterator[Setting]:
    """Yields all settings in the order of their declaration."""
    for section, section_type in get_type_hints(RunConfig).items():
        defaults, hints = section_type(), get_type_hints(section_type)  # read once: it takes long
        for entry in dataclasses.fields(section_type):
            hint = hints[entry.name]
            yield Setting(
                f"{section}.{entry.name}",
                entry.metadata["said"],
                getattr(defaults, entry.name),
                get_args(hint) if get_origin(hint) is Literal else (),
                hint == tuple[str, ...],
            )


def merged(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the tables of several files as one, field by field; later ones win, under whichever name of a setting."""
    result: dict[str, Any] = {}
    for table in map(_renamed, tables):
        for section, fields in table.items():
            both = isinstance(fields, Mapping) and isinstance(result.get(section), Mapping)
            result[section] = {**result[section], **fields} if both else fields
    return result


def build_config(tables: Mapping[str, Any], overrides: Iterable[tuple[str, str]] = ()) -> RunConfig:
    """Returns a checked configuration from TOML tables and overrides `(section.field, text)`, later ones winning.

    Raises: UserError naming the setting, the value seen and what is allowed.
    """
    merged = _renamed(tables)
    for name, text in overrides:
        _set(merged, RENAMED.get(name, name), text)
    _refuse_unknown(merged)
    try:
        return msgspec.convert(merged, RunConfig)
    except msgspec.ValidationError as error:
        raise UserError(_explain(str(error), merged)) from None


def to_tables(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Returns plain tables of a configuration, ready for TOML or a checkpoint; unset optional fields are absent."""
    tables: dict[str, dict[str, Any]] = dataclasses.asdict(config)
    return {
        section: {name: list(v) if isinstance(v, tuple) else v for name, v in table.items() if v is not None}
        for section, table in tables.items()
    }


def changed_settings(saved: RunConfig, wanted: RunConfig) -> list[str]:
    """Returns settings that decide the outcome and differ, as lines `section.field: saved -> wanted`."""
    lines = []
    for setting in settings():
        section, name = setting.name.split(".")
        before, after = (getattr(getattr(config, section), name) for config in (saved, wanted))
        if before != after and setting.name not in RESUMABLE:
            lines.append(f"{setting.name}: {before!r} -> {after!r}")
    return lines


def _set(tables: dict[str, Any], name: str, text: str) -> None:
    section, _, rest = name.partition(".")
    if not rest:
        raise UserError(
            f"{name!r} is not a setting; settings are written section.field, for example train.epochs"
            f"{_meant(name)}"
        )
    table = tables.setdefault(section, {})
    entry, _, key = rest.partition(".")
    value = _parse(text)
    if key:
        table[entry] = {**table.get(entry, {}), key: value}
    elif isinstance(value, str) and get_origin(hint := _hint(section, entry)) is tuple:
        parts = [part.strip() for part in value.split(",")]
        table[entry] = parts if get_args(hint)[0] is str else [_parse(part) for part in parts]
    else:
        table[entry] = value


def _hint(section: str, entry: str) -> object:
    """Returns a field's type without its annotations, None for an unknown field."""
    section_type = get_type_hints(RunConfig).get(section)
    return get_type_hints(section_type).get(entry) if section_type else None


def _parse(text: str) -> object:
    """Returns a command-line value: TOML where it is TOML, `none`, otherwise the text itself."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _renamed(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy with today's names of settings; where a table has both, today's wins."""
    copy = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for before, now in RENAMED.items():
        section, name = before.split(".")
        table = copy.get(section)
        if isinstance(table, dict) and name in table:
            table.setdefault(now.partition(".")[2], table.pop(name))
    return copy


def _refuse_unknown(tables: Mapping[str, Any]) -> None:
    sections = get_type_hints(RunConfig)
    for section, table in tables.items():
        if section not in sections:
            meant = did_you_mean(section, sections)
            raise UserError(f"unknown section {section!r}{listed(meant, 'allowed', sections)}")
        if not isinstance(table, Mapping):
            raise UserError(f"{section} is {table!r}, must be a table of settings")
        allowed = [entry.name for entry in dataclasses.fields(sections[section])]
        for name in table:
            if name not in allowed:
                meant = _meant(f"{section}.{name}")
                raise UserError(
                    f"unknown setting {section}.{name}{listed(meant, f'allowed in {section}', allowed)}"
                )


def _meant(name: str) -> str:
    """Returns the setting that was probably meant: the same field in another section, or a name that is near."""
    names = [setting.name for setting in settings()]
    field = name.rpartition(".")[2]
    same = [known for known in names if known.rpartition(".")[2] == field]
    return (
        f"; did you mean {same[0]}?"
        if same
        else did_you_mean(field, names, SYNONYMS) or did_you_mean(name, names)
    )


def _explain(message: str, tables: Mapping[str, Any]) -> str:
    """Returns what msgspec or a section found, in the words of `ffpp_prep.options`, but as TOML writes values."""
    text, _, path = message.partition(" - at `$.")
    section, _, rest = path.rstrip("`").partition(".")
    entry = re.split(r"[.[]", rest)[0]
    if not entry:
        setting, sign, must = text.partition(": must be ")
        return f"{section}.{setting}{sign}{_in_toml(must)}" if section else text
    hint = get_type_hints(get_type_hints(RunConfig)[section], include_extras=True)[entry]
    return f"{section}.{entry}={shown(tables[section][entry])}: must be {_in_toml(allowed(hint, entry))}"


def _in_toml(words: str) -> str:
    for python, toml in _TOML.items():
        words = words.replace(python, toml)
    return words
