"""Step 1: which videos are there, with their labels, pairs and splits -> WORK/videos.parquet."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from ffpp_prep.datasets.layouts import RefusedEntry, TableWords, list_videos
from ffpp_prep.datasets.layouts.ffpp import ORIGINALS as FFPP_ORIGINALS
from ffpp_prep.datasets.split_files import SPLITS
from ffpp_prep.datasets.splits import assign
from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.settings import SplitSettings
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.store import BoxStore, scanned_root, write_scan

__all__ = ["SAMPLE_MARK", "ScanSummary", "own_splits", "scan"]

FEW_FOLDERS = 64  # that are looked into for lists of splits
SAMPLE_MARK = "SAMPLE.json"  # `ffpp-prep sample` leaves it in the folders that it writes


@dataclass(frozen=True)
class ScanSummary:
    """How many videos were found, by (method, split), what to know about them, and what was refused."""

    videos: int
    counts: dict[tuple[str, str], int]
    notes: tuple[str, ...]
    refused: tuple[RefusedEntry, ...]


def scan(
    root: str | Path,
    work: str | Path,
    layout: str = "auto",
    splits: SplitSettings | None = None,
    moved: bool = False,
    words: TableWords | None = None,
    altered_voice: bool = False,
    pictures: str = "auto",
) -> ScanSummary:
    """Lists a data set's videos and writes WORK/videos.parquet, and WORK/refused.csv; nothing is decoded.

    Scanning again replaces the table. Boxes and crops that exist already stay valid; `video_id` links them.

    Args:
        root: the data set's folder, or a CSV or Parquet table.
        work: the folder to write to, made if missing.
        layout: `auto` or a name in `ffpp_prep.datasets.layouts`.
        splits: where splits come from; by default lists in the data set (see `own_splits`), else the official ones.
        moved: `root` is the data set that WORK was scanned from, in another place.
        words: what a table's columns and labels mean, if they have other names.
        altered_voice: take videos whose picture is real and whose voice was altered, as real.
        pictures: which pictures are videos: auto, frames, each or none, see docs/data-sets.md.

    Raises:
        UserError: nothing to scan, an unknown layout, no way to assign splits, or WORK has boxes of another root.
    """
    root, work = Path(root), Path(work)
    if work.exists() and not work.is_dir():
        raise UserError(f"{work}: not a folder")
    splits = own_splits(root, splits or SplitSettings())
    apart = [work, root / SAMPLE_MARK]
    if splits.folder:
        apart += [splits.folder / f"{name}.json" for name in (*SPLITS, "dfd")]
    listing = list_videos(root, layout, words, apart, altered_voice, pictures)
    assigned = assign(listing.videos, splits)
    demonstration = (root / SAMPLE_MARK).is_file()
    metadata = {
        "root": str(root.resolve()),
        "demonstration": str(demonstration).lower(),
        "split_seed": str(splits.seed),
        "split_rules": json.dumps(assigned.rules),
    }
    with only_run(work):
        if not moved:
            _refuse_another_root(root.resolve(), work)
        _write_refused(work / "refused.csv", listing.refused)
        write_scan(work, assigned.videos, metadata)
    counts = Counter((v.method, v.split or "none") for v in assigned.videos)
    return ScanSummary(len(assigned.videos), dict(counts), (*listing.notes, *assigned.notes), listing.refused)


def _write_refused(path: Path, refused: Sequence[RefusedEntry]) -> None:
    """Writes what was refused, for people; no file where nothing was."""
    if not refused:
        path.unlink(missing_ok=True)
        return
    # A folder's name, unlike an entry's, stands there as it is, and need not be UTF-8.
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(RefusedEntry))
        rows.writerows(map(cell, astuple(entry)) for entry in refused)


def _refuse_another_root(root: Path, work: Path) -> None:
    """Refuses another root: boxes belong to videos by `video_id`, and two data sets may have equal ones."""
    if not BoxStore(work).commits():
        return
    try:
        before = scanned_root(work)
    except UserError:  # a damaged table, which scanning again mends
        return
    if before and before != str(root):
        raise UserError(
            f"{work} has boxes for {before}; videos of the same names in {root} would be given these boxes. "
            "Give another -o, or --moved if the same videos are there now"
        )


def own_splits(root: Path, splits: SplitSettings) -> SplitSettings:
    """Returns the same settings with the lists that lie in the data set, where no other folder is given: in splits/, or
    beside FF++'s own folders; of ROOT, else of the only folder with such lists one or two below it.
    """
    if splits.folder is not None:
        return splits
    level = [root]
    for _ in range(3):
        found = [lists for folder in level if (lists := _lists_in(folder))]
        if found:
            return replace(splits, folder=found[0]) if len(found) == 1 else splits
        level = [below for folder in level for below in _few_below(folder)]
    return splits


def _lists_in(folder: Path) -> Path | None:
    if (folder / "splits" / "train.json").is_file():
        return folder / "splits"
    if (folder / "train.json").is_file() and (folder / FFPP_ORIGINALS).is_dir():
        return folder  # as Self-Blended Images arranges it
    return None


def _few_below(folder: Path) -> list[Path]:
    """Returns a folder's folders; none where they are many, as of a set's videos or people."""
    try:
        found = sorted(Path(entry) for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
    return found if len(found) <= FEW_FOLDERS else []
