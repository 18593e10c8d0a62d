"""Options that people set in Python: every field of a dataclass holds what it is declared to hold, or is refused.

A field's type says what is allowed: words by `Literal`, numbers by `Annotated[int, RANGE]`, where RANGE is a
`Range`. NaN and infinity are no numbers here.
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

__all__ = ["Checked", "Range", "allowed", "check_options", "flag_of", "setting", "shown"]

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
_LONGEST = 200  # characters of a value in a message


@dataclass(frozen=True)
class Range:
    """A range of numbers: at least `ge`, above `gt`, at most `le`, below `lt`."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def words(self, name: str) -> str:
        """Returns the range as a person writes it, around the number's name: `0 ≤ threshold < 1`."""
        low = [f"{limit} {sign} " for limit, sign in ((self.ge, "≤"), (self.gt, "<")) if limit is not None]
        high = [f" {sign} {limit}" for limit, sign in ((self.le, "≤"), (self.lt, "<")) if limit is not None]
        return f"{''.join(low)}{name}{''.join(high)}"


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
            raise UserError(f"{field.name}={shown(value)}: must be {allowed(hint, field.name)}")


def setting(
    default: Any = dataclasses.MISSING,
    said: str = "",
    *,
    factory: Any = dataclasses.MISSING,
    flag: str = "",
    metavar: str = "",
    empty: str = "",
) -> Any:
    """Returns a dataclass's field that knows its flag and its help; what is allowed stands in its type.

    Args:
        default: the value where none is given.
        said: the help text; a field without one has no flag, and `flag` is what messages call it.
        factory: makes the default, in place of `default`, where it is a dictionary.
        flag: where it isn't the field's name.
        metavar: what the help calls the value.
        empty: what an empty text stands for, in files of before the field was there.
    """
    known = {"said": said, "flag": flag, "metavar": metavar, "empty": empty}
    metadata = {name: text for name, text in known.items() if text}
    field: Any = dataclasses.field(default=default, default_factory=factory, metadata=metadata)
    return field


def flag_of(field: dataclasses.Field[Any]) -> str:
    """Returns what a person types for a field, or where it has no flag, what messages call it."""
    return str(field.metadata.get("flag") or f"--{field.name.replace('_', '-')}")


def shown(value: object) -> str:
    """Returns a value as a message shows it, in one line that isn't too long."""
    text = str(value) if isinstance(value, str | Path | float | int) else repr(value)
    return " ".join(text.split())[:_LONGEST]


def allowed(hint: Any, name: str) -> str:
    """Returns what may stand in a field, in words; `name` is what a range calls its number."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([allowed(parts[0], name), *(f"in {one.words(name)}" for one in _ranges(hint))])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(allowed(part, name) for part in parts))
    if origin is Literal:
        *first, last = [str(part) for part in parts if part != ""]  # empty text is what files of before say
        return f"{', '.join(first)} or {last}" if first else last
    if origin is tuple:
        if parts[-1:] == (...,):
            return f"a tuple, each entry {allowed(parts[0], name)}"
        return f"a tuple of {len(parts)}: {', '.join(allowed(part, name) for part in parts)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a dictionary, each value {allowed(parts[1], name)}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a sequence, each entry {allowed(parts[0], name)}"
    if hint is NoneType:
        return "None"
    return _WORDS.get(hint) or f"a {getattr(hint, '__name__', hint)}"


def _fits(value: Any, hint: Any) -> bool:
    """Returns whether a value is of a type, and in the range that `Annotated` gives it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, parts[0]) and all(value in one for one in _ranges(hint))
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


def _ranges(hint: Any) -> list[Range]:
    """Returns the ranges that `Annotated` gives a number."""
    return [extra for extra in get_args(hint)[1:] if isinstance(extra, Range)]
