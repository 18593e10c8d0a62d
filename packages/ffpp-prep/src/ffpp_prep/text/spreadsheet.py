"""Cells of the CSV files that people open: spreadsheets run a cell that begins like a formula."""

from __future__ import annotations

import re
from typing import TypeVar

from ffpp_prep.text.printable import printable

__all__ = ["cell"]

Value = TypeVar("Value")

# At the beginning, or behind a semicolon: it separates cells where the comma stands in numbers.
_FORMULA = re.compile(r'(^|;)(?=[\s"\u200b-\u200d\u2060\ufeff]*[=+\-@＝＋－＠])')


def cell(value: Value) -> Value | str:
    """Returns a value as it may stand in a CSV file; only text changes.

    Text that begins like a formula, blanks aside, gets an apostrophe before it, which spreadsheets take as "this is
    text"; so does what follows a semicolon. Control characters are written out as by `printable`. Numbers stay numbers.
    """
    if not isinstance(value, str):
        return value
    return _FORMULA.sub(r"\1'", printable(value))
