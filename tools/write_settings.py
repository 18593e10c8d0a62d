"""Writes docs/settings.md: every setting of a run with its flag, allowed values and default, from the code.

    python tools/write_settings.py docs/settings.md

`tests/docs/test_pages.py` checks that the page is this script's.
"""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from dfd_train.commands.settings import flag_of
from dfd_train.settings.config import settings
from dfd_train.settings.files import RECIPES, presets
from dfd_train.settings.sections import RunConfig
from ffpp_prep.options import Range

HEAD = """# Settings of a run

*`python tools/write_settings.py docs/settings.md`; `tests/docs/test_pages.py` holds it to the code.*

A run's settings come from a TOML file (`--config`, a preset or recipe below, or a file of your own), then from flags.
Each has a flag; a flag for true or false can be negated, as in `--no-plateau`. `--set section.field=value` reaches all.
RUN/config.toml records them, defaults included. The defaults are the thesis's recipe for the Reseption networks
(section 7.1.5).
"""


def page() -> str:
    """The page as Markdown."""
    described = {setting.name: setting for setting in settings()}
    parts = [HEAD]
    for section in fields(RunConfig):
        kind = get_type_hints(RunConfig, include_extras=True)[section.name]
        assert is_dataclass(kind)
        parts.append(
            f"## {section.name}\n\n{inspect.getdoc(kind)}\n\n"
            "| setting | flag | allowed | default | |\n|---|---|---|---|---|"
        )
        hints = get_type_hints(kind, include_extras=True)
        for entry in fields(kind):
            setting = described[f"{section.name}.{entry.name}"]
            default = "" if setting.default in (None, "", (), {}) else f"`{_toml(setting.default)}`"
            parts.append(
                f"| `{entry.name}` | `{flag_of(setting)}` | {_allowed(hints[entry.name])} | {default} | "
                f"{setting.description} |"
            )
        parts.append("")
    parts.append("## Presets\n\nThe runs of the thesis, for `--config`.\n\n| name | what it is |\n|---|---|")
    parts += [f"| `{preset.name}` | {preset.description} |" for preset in presets()]
    parts.append(
        "\n## Recipes\n\nWhat the field trains today, for `--config`.\n\n| name | what it is |\n|---|---|"
    )
    parts += [f"| `{recipe.name}` | {recipe.description} |" for recipe in presets(RECIPES)]
    return "\n".join([*parts, ""])


def _allowed(hint: Any) -> str:
    """What a field takes, in words."""
    if get_origin(hint) is Annotated:
        inner, *ranges = get_args(hint)
        return " ".join([_allowed(inner), *map(_limit, ranges)])
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [_allowed(part) for part in get_args(hint) if part is not type(None)]
        return " or ".join(kinds) + (", or unset" if type(None) in get_args(hint) else "")
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    if get_origin(hint) is tuple:
        kind, *others = get_args(hint)
        return f"list, each a {_allowed(kind)}" if others == [...] else "[from, to]"
    names = {str: "text", int: "whole number", float: "number", bool: "true, false"}
    return "table" if get_origin(hint) is dict else names[hint]


def _limit(limits: Range) -> str:
    words = (("from", limits.ge), ("above", limits.gt), ("to", limits.le), ("below", limits.lt))
    numbers = ((word, limit) for word, limit in words if limit is not None)
    return " ".join(
        f"{word} {limit if isinstance(limit, int) else format(limit, 'g')}" for word, limit in numbers
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
