"""A CSV or Parquet table, one row a video: `path` and `label`, and any other column of `videos`.

Relative paths are relative to the table's folder and must stay inside it; absolute paths are taken as given.
A video without `video_id` is called by its path as it stands. `method` is the table's for fakes; real videos
have `original_sequences` as everywhere.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pandas as pd

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.table_file import SUFFIXES, read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import CLASS_SYNONYMS, split_of
from ffpp_prep.datasets.people import NOBODY
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.format.segments import pairs_in, segments_text
from ffpp_prep.text.units import counted
from ffpp_prep.video import is_there

PLACES = "named by a row of the table"
NUMBERS = {"false": 0, "true": 1, "no": 0, "yes": 1, "0": 0, "1": 1}  # whether it is fake
MEANINGS = ("real", "fake", "skip")
SAYS_REAL = re.compile(r"(^|[\W_])(is)?(real|genuine|authentic|original|pristine)([\W_]|$)")
WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")
COLUMNS = tuple(f.name for f in fields(VideoRecord))


@dataclass(frozen=True)
class TableWords:
    """What a table's own words mean.

    Attributes:
        columns: a name of COLUMNS -> what the table calls it.
        labels: a value of the label's column -> real, fake or skip.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise UserError(f"columns={name}=…: must be one of {', '.join(COLUMNS)}")
        for value, meaning in self.labels.items():
            if meaning not in MEANINGS:
                raise UserError(f"labels={value}={meaning}: must be {', '.join(MEANINGS)}")


def matches(tree: Tree) -> bool:
    """Returns whether the root is a CSV or Parquet file."""
    return tree.root.is_file() and tree.root.suffix.lower() in SUFFIXES


def read(tree: Tree, words: TableWords) -> Listing:
    """Reads the table; every row must have a path and a label.

    Raises:
        UserError: the file can't be read, or a row is not as it should be; the message names the row and the value.
    """
    root = tree.root
    table = read_rows(root)
    named = {name: words.columns.get(name) or _of_any_case(name, table.columns) for name in COLUMNS}
    missing = [
        name
        for name in COLUMNS
        if named[name] not in table.columns and (name in ("path", "label") or name in words.columns)
    ]
    if missing:
        raise UserError(
            f"{root}: column {', '.join(named[name] for name in missing)} is missing; it has "
            f"{', '.join(table.columns)}; say what it calls them:  --columns "
            f"{','.join(f'{name}=NAME' for name in missing)}"
        )
    rows = [{n: row[own] for n, own in named.items() if own in row} for row in table.rows]
    labels = _Labels(root, named["label"], words.labels, [row["label"] for row in rows])
    base = root.parent
    kept: list[VideoRecord] = []
    refused: list[RefusedEntry] = []
    called: dict[str, str] = {}  # a path as it stands -> the video's id
    missed: list[str] = []
    for number, row in enumerate(rows, start=1):
        where = f"{root}: row {number}"
        text = row.pop("path")
        label = labels.read(number, row.pop("label"))
        if label is None:
            refused.append(RefusedEntry(root.name, ascii(text), "its label is to be skipped"))
            continue
        path = _path(where, text, base)
        if not is_there(path):
            missed.append(text)
            refused.append(RefusedEntry(root.name, ascii(text), _why_missing(text)))
        video = _video(where, row, path, label, _name(text, path, base))
        called[_plain(text)] = video.video_id
        kept.append(video)
    ids = pd.Index([v.video_id for v in kept])
    if not ids.is_unique:
        raise UserError(f"{root}: video_id {ids[ids.duplicated()][0]!r} appears more than once")
    videos, orphans = _paired(kept, called)
    notes = [labels.note()]
    if missed:
        notes.append(_missing_note(missed, len(rows), base))
    if orphans:
        notes.append(
            f"{counted(orphans, 'fake')} with an original_id that isn't a real video in the table. They can't be "
            "paired; those that name the same one share a split"
        )
    unused = sorted(set(table.columns) - {*named.values(), ""})  # of an index, pandas writes no name
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return Listing(tuple(videos), tuple(notes), tuple(refused))


class _Labels:
    """What the values of the label's column mean; kept while reading, to be told afterwards."""

    def __init__(self, root: Path, column: str, given: Mapping[str, str], values: Iterable[str]) -> None:
        self._root, self._column = root, column
        self._given = {value.strip().casefold(): meaning for value, meaning in given.items()}
        self._values = Counter(values)
        if SAYS_REAL.search(column.casefold()) and not self._given:
            raise UserError(
                f"{root}: column {column} could mean 1 for real; say it:  --labels 1=real,0=fake  (or true, false)"
            )
        self._meaning = {value: self._read(value) for value in self._values}

    def read(self, number: int, value: str) -> int | None:
        """Returns 1 for fake, 0 for real, None for a row to skip."""
        meaning = self._meaning[value]
        if meaning is None:
            unknown = sum(n for v, n in self._values.items() if self._meaning[v] is None)
            example = f"{value}={'|'.join(MEANINGS)}"
            raise UserError(
                f"{self._root}: row {number}: label {value!r} is neither 0, false, real nor 1, true, fake "
                f"({unknown} of {counted(self._values.total(), 'row')} with such); say what it means:  "
                f"--labels {example}"
            )
        return None if meaning == "skip" else int(meaning == "fake")

    def note(self) -> str:
        """Returns how the values were read."""
        means = [f"{value} is {self._meaning[value]} ({n})" for value, n in sorted(self._values.items())]
        return f"labels: {', '.join(means)}"

    def _read(self, value: str) -> str | None:
        word = value.strip().casefold()
        if re.fullmatch(r"[01]\.0*", word):  # as pandas writes numbers beside empty cells
            word = word[0]
        given = self._given.get(value.strip().casefold(), self._given.get(word))
        label = CLASS_SYNONYMS.get(word, NUMBERS.get(word))
        return given or (None if label is None else "fake" if label else "real")


def _of_any_case(name: str, columns: Iterable[str]) -> str:
    """Returns the column of this name, or the only one that differs from it by capital letters."""
    alike = [column for column in columns if column.casefold() == name]
    return alike[0] if len(alike) == 1 else name


def _path(where: str, text: str, base: Path) -> Path:
    """Returns the file that a path means: as it stands if that is there, else without spaces around or with /
    for \\.
    """
    if not text.strip() or "\0" in text:
        raise UserError(f"{where}: path {text!r} is no path")
    forms = dict.fromkeys((text, text.strip(), text.strip().replace("\\", "/")))
    paths = []
    for form in forms:
        # Not resolved: a link below the table's folder may lead to another disk.
        path = Path(os.path.normpath(base / form))
        if not Path(form).is_absolute() and not path.is_relative_to(base):
            raise UserError(f"{where}: path {text!r} leaves the table's folder; give an absolute path")
        paths.append(path)
    return next((path for path in paths if is_there(path)), paths[min(1, len(paths) - 1)])


def _name(text: str, path: Path, base: Path) -> str:
    """Returns what a video without `video_id` is called."""
    plain = text.strip()
    if "\\" in plain and path == Path(os.path.normpath(base / plain.replace("\\", "/"))):
        plain = plain.replace("\\", "/")
    return Path(plain).as_posix()


def _plain(text: str) -> str:
    return text.strip().replace("\\", "/")


def _video(where: str, row: dict[str, str], path: Path, label: int, name: str) -> VideoRecord:
    row = {key: "" if value.strip().casefold() in NOBODY else value.strip() for key, value in row.items()}
    split = split_of(row.get("split", ""))
    if split is None:
        raise UserError(f"{where}: split {row['split']!r} must be train, val, test, unused or empty")
    if row.get("original_id") and not label:
        raise UserError(f"{where}: original_id {row['original_id']!r}: only a fake (label 1) has one")
    if row.get("fake_segments") and not label:
        raise UserError(f"{where}: fake_segments {row['fake_segments']!r}: only a fake (label 1) has them")
    try:
        if row.get("fake_segments"):
            row["fake_segments"] = segments_text(pairs_in(row["fake_segments"]))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    given = {key: value for key, value in row.items() if value} | {"split": split}
    given["method"] = given.get("method", "fake") if label else REAL_METHOD
    return VideoRecord(path=str(path), label=label, **{"video_id": name, "dataset": "folder", **given})


def _paired(videos: list[VideoRecord], called: Mapping[str, str]) -> tuple[list[VideoRecord], int]:
    """Returns the videos with `original_id` a real video's `video_id`, and how many name none."""
    reals = {v.video_id for v in videos if not v.label}
    paired, orphans = [], 0
    for video in videos:
        original = video.original_id
        if original and original not in reals:
            original = called.get(_plain(original), "")
            original = original if original in reals else ""
            orphans += not original
        if original != video.original_id:  # fakes of one absent original share it all the same
            group = video.group or ("" if original else _plain(video.original_id))
            video = replace(video, original_id=original, group=group)
        paired.append(video)
    return paired, orphans


def _why_missing(text: str) -> str:
    windows = "; a path of Windows" if WINDOWS.match(text) else ""
    return f"not on disk{windows}; its row stays, and boxes will record it as open_failed"


def _missing_note(missed: list[str], rows: int, base: Path) -> str:
    """Returns how many files the disk lacks, and what may be the reason."""
    text = (
        f"{len(missed)} of {counted(rows, 'file')} of the table not on disk (first: {missed[0]!r}); boxes will record "
        f"open_failed. Relative paths count from {base}"
    )
    windows = sum(bool(WINDOWS.match(path)) for path in missed)
    if windows:
        text += f". {counted(windows, 'path')} of Windows: write them with /, without a drive, relative to that folder"
    return text
