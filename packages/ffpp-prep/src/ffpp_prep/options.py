"""Options that people set in Python: every field of a dataclass holds what it is declared to hold, or is refused.

A field's type says what is allowed: words by `Literal`, numbers by `Annotated[int, RANGE]`, where RANGE has any of the
attributes `ge`, `gt`, `le`, `lt`: `Range`, or msgspec's `Meta`. NaN and infinity are no numbers here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ffpp_prep.errors import UserError

__all__ = ["Checked", "Range", "check_options"]

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
_LONGEST = 200  # characters of a value in a message


@dataclass(frozen=True)
class Range:
    """A range of numbers: at least `ge`, above `gt`, at most `le`, below `lt`."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclass(frozen=True)
class Checked:
    """A base of dataclasses whose fields are compared with their types when one is made.

    Raises:
        UserError: `name=value: must be …`.
    """

    def __post_init__(self) -> None:
        check_options(self)


def check_options(options: Any) -> None:
    """Compares every field of a dataclass with its type.

    Raises:
        UserError: `name=value: must be …`; the command line shows the flag in the name's place.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        value, hint = getattr(options, field.name), hints[field.name]
        if not _fits(value, hint):
            shown = str(value) if isinstance(value, str | Path | float | int) else repr(value)
            allowed = _allowed(hint, field.name)
            raise UserError(f"{field.name}={' '.join(shown.split())[:_LONGEST]}: must be {allowed}")


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type, and in the range that `Annotated` gives it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, parts[0]) and all(_within(value, extra) for extra in parts[1:])
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[-1:] == (...,) else parts
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, origin) and all(
            _fits(key, parts[0]) and _fits(entry, parts[1]) for key, entry in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return (
            isinstance(value, origin)
            and not isinstance(value, str)
            and all(_fits(x, parts[0]) for x in value)
        )
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _within(value: Any, extra: object) -> bool:
    """Whether a number lies in a range; what says nothing of numbers allows all."""
    return (
        ((low := getattr(extra, "ge", None)) is None or value >= low)
        and ((low := getattr(extra, "gt", None)) is None or value > low)
        and ((high := getattr(extra, "le", None)) is None or value <= high)
        and ((high := getattr(extra, "lt", None)) is None or value < high)
    )


def _allowed(hint: Any, name: str) -> str:
    """What may stand in a field, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        ranges = [words for extra in parts[1:] if (words := _range(extra, name))]
        return " ".join([_allowed(parts[0], name), *ranges])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_allowed(part, name) for part in parts))
    if origin is Literal:
        *first, last = [str(part) for part in parts if part != ""]  # empty text is what files of before say
        return f"{', '.join(first)} or {last}" if first else last
    if origin is tuple:
        if parts[-1:] == (...,):
            return f"a tuple, each entry {_allowed(parts[0], name)}"
        return f"a tuple of {len(parts)}: {', '.join(_allowed(part, name) for part in parts)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a dictionary, each value {_allowed(parts[1], name)}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a sequence, each entry {_allowed(parts[0], name)}"
    if hint is NoneType:
        return "None"
    return _WORDS.get(hint) or f"a {getattr(hint, '__name__', hint)}"


def _range(extra: object, name: str) -> str:
    low = [
        f"{value:g} {sign} "
        for key, sign in (("ge", "≤"), ("gt", "<"))
        if (value := getattr(extra, key, None)) is not None
    ]
    high = [
        f" {sign} {value:g}"
        for key, sign in (("le", "≤"), ("lt", "<"))
        if (value := getattr(extra, key, None)) is not None
    ]
    return f"in {''.join(low)}{name}{''.join(high)}" if low or high else ""
