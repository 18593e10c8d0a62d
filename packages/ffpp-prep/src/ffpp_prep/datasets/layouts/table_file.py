"""A CSV or Parquet file as rows of text, whatever program wrote it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.tables import read_table
from ffpp_prep.machine import content_of
from ffpp_prep.text.stand_ins import stand_in
from ffpp_prep.text.units import counted

SUFFIXES = (".csv", ".tsv", ".parquet")
SEPARATORS = ",;\t|"
CONTENT = re.compile(r"[^\s,;|\"]")
LONGEST_FIELD = 1 << 20
INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls an index without a name


@dataclass(frozen=True)
class TableRows:
    """A table's columns, and its rows as dictionaries of text; what is empty or null is ""."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_rows(path: Path, unnamed: bool = False, older: str = "") -> TableRows:
    """Reads a table.

    Args:
        path: a CSV or Parquet file.
        unnamed: whether to keep trailing columns of a CSV without a name; the last gets the name "".
        older: the encoding to fall back on if a CSV isn't UTF-8; "" for none.

    Of a CSV file the separator is found by its first line, UTF-8 and UTF-16 with a mark are understood, and spaces
    around values don't count.

    Raises:
        UserError: it can't be read, or a row has more values than there are columns.
    """
    if other := stand_in(path):
        raise UserError(f"{path}: {other}")
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        return _csv(path, unnamed, older)
    except (OSError, ValueError, csv.Error) as error:  # Arrow's and Unicode's own errors are ValueErrors
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not readable as {path.suffix[1:].upper()} ({reason})") from error


def _parquet(path: Path) -> TableRows:
    frame = read_table(path, "write it again").to_pandas().astype(object)
    frame = frame[[name for name in frame.columns if not INDEX.fullmatch(name)]]
    columns = tuple(str(name) for name in frame.columns)
    _refuse_twice(path, columns)
    frame.columns = pd.Index(columns)
    text = frame.where(frame.notna(), "").astype(str)
    return TableRows(columns, tuple({str(k): v for k, v in row.items()} for row in text.to_dict("records")))


def _csv(path: Path, unnamed: bool, older: str) -> TableRows:
    csv.field_size_limit(LONGEST_FIELD)
    lines = _text(content_of(path), older)
    if not CONTENT.search(lines):
        raise UserError(f"{path}: not readable as CSV (it is empty)")
    declared = re.match(r"sep=(.)\r?\n", lines)  # what Excel writes and reads
    if declared:
        lines = lines[declared.end() :]
    separator = declared[1] if declared else _separator(lines)
    reader = csv.reader(
        io.StringIO(lines, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    header = [name.strip() for name in next(row for row in reader if any(value.strip() for value in row))]
    while header and not header[-1] and not unnamed:
        header.pop()
    _refuse_twice(path, tuple(header))
    return TableRows(tuple(header), tuple(_rows(path, reader, header)))


def _rows(path: Path, reader: Iterator[list[str]], header: list[str]) -> Iterator[dict[str, str]]:
    for number, values in enumerate((values for values in reader if any(v.strip() for v in values)), start=1):
        beyond = [value for value in values[len(header) :] if value.strip()]
        if beyond:
            raise UserError(
                f"{path}: row {number} has {counted(len(values), 'value')}, the first line "
                f"{counted(len(header), 'column')}; the value {beyond[0]!r} belongs to none: write values "
                "that hold the separator in quotes"
            )
        padded = [*values, *[""] * (len(header) - len(values))]
        yield {name: value.strip() for name, value in zip(header, padded, strict=False)}


def _text(content: bytes, older: str) -> str:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return content.decode("utf-32")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        text = content.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        if older:
            return content.decode(older)
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} isn't UTF-8: save it as UTF-8") from error
    if "\0" in text:
        raise ValueError("it holds zero bytes, as UTF-16 without its mark does: save it as UTF-8")
    return text


def _separator(lines: str) -> str:
    """Returns the separator that parts the first line into most columns; a comma where none does."""
    first = next(line for line in lines.splitlines() if CONTENT.search(line))
    counts = {sep: len(next(csv.reader([first], delimiter=sep))) for sep in SEPARATORS}
    return max(SEPARATORS, key=lambda sep: counts[sep])


def _refuse_twice(path: Path, columns: tuple[str, ...]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1 and name})
    if twice:
        raise UserError(f"{path}: column {twice[0]} appears more than once")
