"""Settings on the command line: a TOML file, `--set`, and a flag for each."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_trust
from dfd_train.errors import UserError
from dfd_train.models.trust import check_trust
from dfd_train.settings.config import RunConfig, Setting, build_config, merged, settings
from dfd_train.settings.files import RECIPES, find_config, presets, read_config


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds --config, --set and a flag for every setting; later ones win, in the order --config, --set, flags."""
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a TOML file of settings, or the name of a preset (listed below); if there are several, later ones win",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="one setting, as often as you like",
    )
    parser.add_argument(
        "work", type=Path, nargs="?", metavar="WORK", help="the prepared data set; or --data WORK"
    )
    add_trust(parser)
    group = parser.add_argument_group("settings")
    for setting in settings():
        _add_setting(group, setting)
    listed = "\n".join(f"{preset.name:24}{preset.description}" for preset in presets())
    parser.add_argument_group("presets, the runs of the thesis", listed)
    today = "\n".join(f"{recipe.name:24}{recipe.description}" for recipe in presets(RECIPES))
    parser.add_argument_group("recipes, what the field trains today", today)


def run_config(options: argparse.Namespace, run: Path | None = None) -> RunConfig:
    """Returns the configuration of a command; where it names neither model nor data, over that of the run in `run`,
    or else in --out.

    Raises: as `build_config`; UserError where a file names a function as its model that the command line does not.
    """
    overrides = [_split_setting(text) for text in options.set]
    given = dict(vars(options))
    works = given.pop("data.work") or []
    overrides += [(s.name, _text(given[s.name])) for s in settings() if given.get(s.name) is not None]
    if options.work is not None:
        if works:
            raise UserError(f"WORK is {options.work} and --data {works[0]}: give one of them")
        works = [str(options.work)]
    files = [find_config(file) for file in options.config]
    saved = (run or options.out) / "config.toml"
    anew = works or {"model.name", "data.work"} & dict(overrides).keys()
    if not files and saved.is_file() and not anew:
        files = [saved]
    tables = [read_config(file) for file in files]
    own = [{"data": {"work": works[0], "also": works[1:]}}] if works else []
    config = build_config(merged([*tables, *own]), overrides)
    named = [file for file, table in zip(files, tables, strict=True) if "name" in table.get("model", {})]
    if named and "model.name" not in dict(overrides):
        check_trust(named[-1], [config.model.name], options.trust)
    return config


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    help_text = f"{setting.description} (default: {_shown(setting.default)}; {setting.name})".replace(
        "%", "%%"
    )
    if isinstance(setting.default, bool):
        action = argparse.BooleanOptionalAction
        group.add_argument(flag_of(setting), dest=setting.name, action=action, default=None, help=help_text)
    elif setting.name == "data.work":
        help_text += "; several: --data A --data B"
        group.add_argument("--data", dest=setting.name, action="append", metavar="WORK", help=help_text)
    elif setting.texts:
        flag = flag_of(setting)
        help_text += f"; several: {flag} A,B or {flag} A {flag} B"
        group.add_argument(flag, dest=setting.name, action="append", metavar="VALUE", help=help_text)
    else:
        metavar = f"{{{','.join(setting.choices)}}}" if setting.choices else "VALUE"
        group.add_argument(flag_of(setting), dest=setting.name, metavar=metavar, help=help_text)


def flag_of(setting: Setting) -> str:
    """Returns a setting's flag: `--epochs` for train.epochs, `--model` and `--data` for a section's subject."""
    section, field = setting.name.split(".")
    if field in ("name", "work"):
        return f"--{section}"
    if field in ("arguments", "on"):
        return f"--{section}-{field}"
    return f"--{field.replace('_', '-')}"


def _split_setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text!r}: write section.field=value, for example --set train.epochs=10")
    return name.strip(), value.strip()


def _text(value: object) -> str:
    if isinstance(value, list):  # a flag that was given several times
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(default: object) -> str:
    if default is None or default in ("", (), {}):
        return "unset"
    if isinstance(default, tuple):  # as it is typed
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)
