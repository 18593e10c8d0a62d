"""Cells of the CSV files that people open: spreadsheets run a cell that begins like a formula."""

from __future__ import annotations

from typing import TypeVar

from ffpp_prep.text.printable import printable

__all__ = ["cell"]

Value = TypeVar("Value")

_BEGINS_A_FORMULA = frozenset("=+-@＝＋－＠")


def cell(value: Value) -> Value | str:
    """Returns a value as it may stand in a CSV file; only text changes.

    Text that begins like a formula, blanks aside, gets an apostrophe before it, which spreadsheets take as "this is
    text"; control characters are written out as by `printable`. Numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    first = text.lstrip()[:1]
    return f"'{text}" if first in _BEGINS_A_FORMULA else text
