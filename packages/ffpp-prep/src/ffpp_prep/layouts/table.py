"""A CSV or Parquet table, one row a video: `path` and `label` (0 real, 1 fake), and any other column of `videos`.

Relative paths are relative to the table's folder and must stay inside it; absolute paths are taken as given.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UsageError
from ffpp_prep.layouts.record import REAL_METHOD, Listing, VideoRecord

SUFFIXES = (".csv", ".parquet")
OPTIONAL = tuple(f.name for f in fields(VideoRecord) if f.name not in {"video_id", "path", "label"})


def matches(root: Path) -> bool:
    """Whether `root` is a CSV or Parquet file."""
    return root.is_file() and root.suffix.lower() in SUFFIXES


def read(root: Path) -> Listing:
    """Reads the table; every row must have a path and a label."""
    frame = (
        pd.read_csv(root, dtype=str, keep_default_na=False)
        if root.suffix.lower() == ".csv"
        else pd.read_parquet(root)
    )
    missing = {"path", "label"} - set(frame.columns)
    if missing:
        raise UsageError(
            f"{root}: column {', '.join(sorted(missing))} is missing; it has {', '.join(frame.columns)}"
        )
    base = root.resolve().parent
    videos = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        text = str(row["path"])
        path = (base / text).resolve() if not Path(text).is_absolute() else Path(text)
        if not Path(text).is_absolute() and not path.is_relative_to(base):
            raise UsageError(
                f"{root}: row {number}: path {text!r} leaves the table's folder; give an absolute path"
            )
        if str(row["label"]) not in {"0", "1"}:
            raise UsageError(f"{root}: row {number}: label {row['label']!r} must be 0 (real) or 1 (fake)")
        label = int(row["label"])
        given = {
            name: str(row[name]) for name in OPTIONAL if name in frame.columns and not pd.isna(row[name])
        }
        given.setdefault("dataset", "folder")
        given.setdefault("method", "fake" if label else REAL_METHOD)
        video_id = (
            str(row["video_id"])
            if "video_id" in frame.columns
            else path.as_posix()
            if Path(text).is_absolute()
            else text
        )
        videos.append(VideoRecord(video_id=video_id, path=str(path), label=label, **given))
    ids = [v.video_id for v in videos]
    double = next((i for i in ids if ids.count(i) > 1), None) if len(set(ids)) < len(ids) else None
    if double is not None:
        raise UsageError(f"{root}: video_id {double!r} stands more than once")
    return Listing(tuple(videos))
