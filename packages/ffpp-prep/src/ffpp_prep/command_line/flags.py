"""Flags, help and messages of a settings dataclass, from its fields (`ffpp_prep.settings`)."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ffpp_prep.errors import UserError
from ffpp_prep.options import flag_of

__all__ = ["add_flags", "as_typed", "from_flags"]

Settings = TypeVar("Settings")


def add_flags(group: argparse._ActionsContainer, settings: type[Any]) -> None:
    """Adds a flag for each field that has a help text.

    Args:
        group: of a parser.
        settings: a dataclass whose fields `ffpp_prep.options.setting` made.
    """
    for field in _shown(settings):
        _add_flag(group, settings, field)


def from_flags(settings: type[Settings], options: argparse.Namespace) -> Settings:
    """Returns the settings that the flags of `add_flags` gave.

    Raises:
        UserError: a value that isn't allowed; the message calls it by its flag.
    """
    given = {field.name: getattr(options, _dest(settings, field)) for field in _shown(settings)}
    try:
        return settings(**given)
    except UserError as error:
        raise UserError(as_typed(str(error), settings)) from error


def as_typed(message: str, *settings: type[Any]) -> str:
    """Returns a library's message as a person types it: `threshold=2: …` becomes `--threshold 2: …`."""
    flags = {field.name: flag_of(field) for one in settings for field in _shown(one)}
    name, sign, rest = message.partition("=")
    if sign and name in flags:
        return f"{flags[name]} {rest}"
    if "exclude each other" in message:
        return re.sub(r"\w+", lambda word: flags.get(word[0], word[0]), message)
    return message


def _shown(settings: type[Any]) -> Iterator[dataclasses.Field[Any]]:
    return (field for field in dataclasses.fields(settings) if field.metadata.get("said"))


def _dest(settings: type[Any], field: dataclasses.Field[Any]) -> str:
    """Returns a name of its own: two dataclasses may have fields of one name, and a command the flags of several."""
    return f"{settings.__name__}.{field.name}"


def _add_flag(group: argparse._ActionsContainer, settings: type[Any], field: dataclasses.Field[Any]) -> None:
    known, dest = field.metadata, _dest(settings, field)
    if field.default is False:
        group.add_argument(flag_of(field), dest=dest, action="store_true", help=known["said"])
        return
    value = field.default or known.get("empty", field.default)
    default = "" if value in (None, (), "") else f" (default: {value})"
    hint = _hint(settings, field)
    choices = [word for word in get_args(hint) if word] if get_origin(hint) is Literal else []
    group.add_argument(
        flag_of(field),
        dest=dest,
        type=_type(hint),
        default=value,
        choices=choices or None,
        metavar=None if choices else known.get("metavar", "X"),
        help=f"{known['said']}{default}",
    )


def _hint(settings: type[Any], field: dataclasses.Field[Any]) -> Any:
    """Returns a field's type, without None."""
    hint = get_type_hints(settings)[field.name]
    return get_args(hint)[0] if get_origin(hint) in (Union, UnionType) else hint


def _type(hint: Any) -> Callable[[str], Any]:
    if get_origin(hint) is tuple:
        return _names
    return hint if hint in (int, float, Path) else str


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
