"""A CSV or Parquet table, one row a video: `path` and `label`, and any other column of `videos`.

Relative paths are relative to the table's folder and must stay inside it; absolute paths are taken as given.
A video without `video_id` is called by its path as it stands. `method` is the table's for fakes; real videos
have `original_sequences` as everywhere.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.table_file import SUFFIXES, read_rows
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import CLASS_SYNONYMS, split_of
from ffpp_prep.datasets.people import NOBODY, person_key
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.format.segments import pairs_in, segments_text
from ffpp_prep.text.units import counted
from ffpp_prep.video import is_there

PLACES = "named by a row of the table"
NUMBERS = {"false": 0, "true": 1, "no": 0, "yes": 1, "0": 0, "1": 1}  # whether it is fake
MEANINGS = ("real", "fake", "skip")
SAYS_REAL = re.compile(
    r"(?:is|was)?(?:real(?:s|ness)?|genuine|authentic(?:ity)?|originals?|pristine|bonafide|bona|live(?:ness)?|legit)"
    r"|(?:is|was)?(?:not|non|no|un)(?:deep)?"
    r"(?:fakes?|altered|manipulated|tampered|modified|edited|touched|forged|synthetic|swapped)"
)
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
    called: dict[str, str] = {}  # where a path leads -> the video's id
    listed: dict[str, tuple[int, VideoRecord]] = {}  # a file -> the first row of it
    contrary: list[str] = []
    missed: list[str] = []
    for number, row in enumerate(rows, start=1):
        where = f"{root}: row {number}"
        text = row.pop("path")
        label = labels.read(number, row.pop("label"))
        if label is None:
            refused.append(RefusedEntry(root.name, ascii(text), "its label is to be skipped"))
            continue
        form, path = _located(where, text, base)
        if not is_there(path):
            missed.append(text)
            refused.append(RefusedEntry(root.name, ascii(text), _why_missing(text)))
        video = _video(where, row, path, label, Path(form.strip()).as_posix())
        first, same = listed.setdefault(_real(path), (number, video))
        if (video.label, video.split) != (same.label, same.split):
            contrary.append(f"row {number} and row {first}")
        elif same is not video:
            refused.append(
                RefusedEntry(root.name, ascii(text), f"the same file as row {first}, which is used")
            )
            video = same
        called[_place(text, base)] = video.video_id
        kept += [video] if video is not same or first == number else []
    ids = pd.Index([v.video_id for v in kept])
    if not ids.is_unique:
        raise UserError(
            f"{root}: video_id {ids[ids.duplicated()][0]!r} appears more than once, for another file, label or split"
        )
    videos, orphans = _paired(kept, called, base)
    notes = [labels.note()]
    if missed:
        notes.append(_missing_note(missed, len(rows), base))
    if contrary:
        notes.append(
            f"{counted(len(contrary), 'row')} with another label or split than an earlier row of the same file "
            f"(first: {contrary[0]}): check-splits lists them, and training refuses them"
        )
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
        if (
            _says_real(column)
            and not self._given
            and any(_number(value) in NUMBERS for value in self._values)
        ):
            raise UserError(
                f"{root}: column {column} could mean 1 for real; say it:  --labels 1=real,0=fake  (or true, false)"
            )
        self._meaning = {value: self._read(value) for value in self._values}

    def read(self, number: int, value: str) -> int | None:
        """Returns 1 for fake, 0 for real, None for a row to skip."""
        meaning = self._meaning[value]
        if meaning is None:
            unknown = sum(n for v, n in self._values.items() if self._meaning[v] is None)
            raise UserError(
                f"{self._root}: row {number}: label {value!r} is neither 0, false, real nor 1, true, fake "
                f"({unknown:,} of {counted(self._values.total(), 'row')} with such); say what it means:  "
                f"{_typed(value)}"
            )
        return None if meaning == "skip" else int(meaning == "fake")

    def note(self) -> str:
        """Returns how the values were read."""
        means = [f"{value} is {self._meaning[value]} ({n})" for value, n in sorted(self._values.items())]
        return f"labels: {', '.join(means)}"

    def _read(self, value: str) -> str | None:
        word = _number(value)
        given = self._given.get(value.strip().casefold(), self._given.get(word))
        label = CLASS_SYNONYMS.get(word, NUMBERS.get(word))
        return given or (None if label is None else "fake" if label else "real")


def _of_any_case(name: str, columns: Iterable[str]) -> str:
    """Returns the column of this name, or the only one that differs from it by capital letters."""
    alike = [column for column in columns if column.casefold() == name]
    return alike[0] if len(alike) == 1 else name


def _number(value: str) -> str:
    """Returns a label in small letters, and 1 for 1.0, as pandas writes numbers beside empty cells."""
    word = value.strip().casefold()
    return word[0] if re.fullmatch(r"[01]\.0*", word) else word


def _says_real(column: str) -> bool:
    """Returns whether a column's name says that 1 means real: isReal, not_fake, bona fide."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).casefold()
    parts = re.findall(r"[^\W_]+", words)
    return any(
        SAYS_REAL.fullmatch(word) for word in (*parts, *(one + other for one, other in pairwise(parts)))
    )


def _typed(value: str) -> str:
    """Returns how a person says what a label means; a comma needs quotes of its own, as in a table."""
    pair = f"{value}={'|'.join(MEANINGS)}"
    if "," in pair or '"' in pair:
        pair = '"' + pair.replace('"', '""') + '"'
    plain = pair if re.fullmatch(r"[\w.+-]*", value) else shlex.quote(pair)
    return f"--labels={plain}" if pair.startswith("-") else f"--labels {plain}"


def _forms(text: str) -> Iterator[str]:
    """Yields a path as it stands, without spaces around, with / for \\; then as macOS writes letters with marks, and
    as an address of a file.
    """
    plain = _plain(text)
    yield from (text, text.strip(), plain)
    yield from (unicodedata.normalize(form, plain) for form in ("NFC", "NFD"))
    yield unquote(re.sub(r"^file://(localhost)?(?=/)", "", plain))


def _located(where: str, text: str, base: Path) -> tuple[str, Path]:
    """Returns the first of a path's forms that is there, else the second, and the file that it means."""
    if not text.strip() or "\0" in text:
        raise UserError(f"{where}: path {text!r} is no path")
    found = []
    for form in dict.fromkeys(_forms(text)):
        # Not resolved: a link below the table's folder may lead to another disk.
        path = Path(_place(form, base))
        if not Path(form).is_absolute() and not path.is_relative_to(base):
            raise UserError(f"{where}: path {text!r} leaves the table's folder; give an absolute path")
        if "\0" not in form and is_there(path):
            return form, path
        found.append((form, path))
    return found[min(1, len(found) - 1)]


def _plain(text: str) -> str:
    return text.strip().replace("\\", "/")


def _place(text: str, base: Path) -> str:
    return os.path.normpath(base / text)


def _real(path: Path) -> str:
    """Returns what tells a file from others, however its folder is reached."""
    return str(_real_folder(path.parent) / path.name)


@lru_cache(maxsize=1 << 12)
def _real_folder(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


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
    if label and given["method"] == REAL_METHOD:
        raise UserError(f"{where}: method {REAL_METHOD!r}: that of real videos, but its label says fake")
    return VideoRecord(path=str(path), label=label, **{"video_id": name, "dataset": "folder", **given})


def _paired(
    videos: list[VideoRecord], called: Mapping[str, str], base: Path
) -> tuple[list[VideoRecord], int]:
    """Returns the videos with `original_id` a real video's `video_id`, and how many name none.

    An original may be named by its path, or by its `video_id` as other programs write it: pandas makes 2 to 2.0.
    """
    reals = {v.video_id for v in videos if not v.label}
    alike: dict[str, list[str]] = {}
    for video_id in reals:
        alike.setdefault(person_key(video_id), []).append(video_id)
    paired, orphans = [], 0
    for video in videos:
        original = video.original_id
        if original and original not in reals:
            original = called.get(_place(original, base)) or called.get(_place(_plain(original), base), "")
            same = alike.get(person_key(video.original_id), ())
            original = original if original in reals else same[0] if len(same) == 1 else ""
            orphans += not original
        if original != video.original_id:  # fakes of one absent original share it all the same
            group = video.group or ("" if original else _plain(video.original_id))
            video = replace(video, original_id=original, group=group)
        paired.append(video)
    return paired, orphans


def _why_missing(text: str) -> str:
    kind = "; a path of Windows" if WINDOWS.match(text) else "; an address, no file" if "://" in text else ""
    return f"not on disk{kind}; its row stays, and boxes will record it as open_failed"


def _missing_note(missed: list[str], rows: int, base: Path) -> str:
    """Returns how many files the disk lacks, and what may be the reason."""
    text = (
        f"{len(missed):,} of {counted(rows, 'file')} of the table not on disk (first: {missed[0]!r}); boxes will "
        f"record open_failed. Relative paths count from {base}"
    )
    windows = sum(bool(WINDOWS.match(path)) for path in missed)
    if windows:
        text += f". {counted(windows, 'path')} of Windows: write them with /, without a drive, relative to that folder"
    return text
