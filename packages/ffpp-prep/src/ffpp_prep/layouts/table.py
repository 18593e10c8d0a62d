"""A CSV or Parquet table, one row a video: `path` and `label` (0 real, 1 fake), and any other column of `videos`.

Relative paths are relative to the table's folder and must stay inside it; absolute paths are taken as given.
A video without `video_id` is called by its path as it stands. `method` is the table's for fakes; real videos
have `original_sequences` as everywhere.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord

SUFFIXES = (".csv", ".parquet")
LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1}
SPLITS = ("", "train", "val", "test", "unused")
COLUMNS = tuple(f.name for f in fields(VideoRecord))


def matches(root: Path) -> bool:
    """Whether `root` is a CSV or Parquet file."""
    return root.is_file() and root.suffix.lower() in SUFFIXES


def read(root: Path) -> Listing:
    """Reads the table; every row must have a path and a label.

    Raises:
        UserError: the file can't be read, or a row is not as it should be; the message names the row.
    """
    frame = _table(root)
    missing = {"path", "label"} - set(frame.columns)
    if missing:
        raise UserError(
            f"{root}: column {', '.join(sorted(missing))} is missing; it has {', '.join(map(str, frame.columns))}"
        )
    text = frame[[name for name in COLUMNS if name in frame.columns]].astype(object)
    text = text.where(text.notna(), "").astype(str)
    base = root.resolve().parent
    videos = tuple(
        _video(f"{root}: row {number}", row, base)
        for number, row in enumerate(text.to_dict("records"), start=1)
    )
    ids = pd.Index([v.video_id for v in videos])
    if not ids.is_unique:
        raise UserError(f"{root}: video_id {ids[ids.duplicated()][0]!r} stands more than once")
    reals = {v.video_id for v in videos if not v.label}
    orphans = {v.video_id for v in videos if v.original_id and v.original_id not in reals}
    notes = []
    if orphans:
        notes.append(
            f"{len(orphans)} fakes name an original_id that is no real video of the table; they can't be paired"
        )
        videos = tuple(replace(v, original_id="") if v.video_id in orphans else v for v in videos)
    unused = sorted(set(map(str, frame.columns)) - set(COLUMNS))
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return Listing(videos, tuple(notes))


def _table(root: Path) -> pd.DataFrame:
    try:
        if root.suffix.lower() == ".csv":
            return pd.read_csv(root, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        return pd.read_parquet(root)
    except (OSError, ValueError) as error:  # pandas' and Arrow's own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise UserError(f"{root}: not readable as {root.suffix[1:].upper()} ({reason})") from error


def _video(where: str, row: dict[str, str], base: Path) -> VideoRecord:
    text = row.pop("path")
    if not text or "\0" in text:
        raise UserError(f"{where}: path {text!r} is no path")
    # Not resolved: a link below the table's folder may lead to another disk.
    path = Path(os.path.normpath(base / text))
    if not Path(text).is_absolute() and not path.is_relative_to(base):
        raise UserError(f"{where}: path {text!r} leaves the table's folder; give an absolute path")
    label = LABELS.get(row.pop("label"))
    if label is None:
        raise UserError(f"{where}: label must be 0 (real) or 1 (fake)")
    if row.get("split", "") not in SPLITS:
        raise UserError(f"{where}: split {row['split']!r} must be train, val, test, unused or empty")
    if row.get("original_id") and not label:
        raise UserError(f"{where}: original_id {row['original_id']!r}: only a fake (label 1) has one")
    given = {name: value for name, value in row.items() if value}
    given["method"] = given.get("method", "fake") if label else REAL_METHOD
    return VideoRecord(
        path=str(path),
        label=label,
        **{"video_id": Path(text).as_posix(), "dataset": "folder", **given},
    )
