"""Step 1: which videos are there, with their labels, pairs and splits -> WORK/videos.parquet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from ffpp_prep.errors import UsageError
from ffpp_prep.files import only_run
from ffpp_prep.layouts import list_videos
from ffpp_prep.splits import SplitSettings, assign
from ffpp_prep.store import write_scan

SAMPLE_MARK = "SAMPLE.json"  # `ffpp-prep sample` leaves it in the folders that it writes


@dataclass(frozen=True)
class ScanSummary:
    """How many videos were found, by (method, split), and what to know about them."""

    videos: int
    counts: dict[tuple[str, str], int]
    notes: tuple[str, ...]


def scan(
    root: str | Path, work: str | Path, layout: str = "auto", splits: SplitSettings | None = None
) -> ScanSummary:
    """Lists a data set's videos and writes WORK/videos.parquet; nothing is decoded.

    Scanning again replaces the table; boxes and crops that were made already stay valid, by `video_id`.

    Args:
        root: the data set's folder, or a CSV or Parquet table.
        work: the folder to write to, made if missing.
        layout: `auto` or a name in `ffpp_prep.layouts`.
        splits: where splits come from; by default ROOT/splits if it is there, else the official lists.

    Raises:
        UsageError: nothing to scan, an unknown layout, or no way to assign splits.
    """
    root, work = Path(root), Path(work)
    listing = list_videos(root, layout)
    splits = own_splits(root, splits or SplitSettings())
    videos, notes = assign(listing.videos, splits)
    if work.exists() and not work.is_dir():
        raise UsageError(f"{work}: not a folder")
    demonstration = (root / SAMPLE_MARK).is_file()
    metadata = {
        "root": str(root.resolve()),
        "demonstration": str(demonstration).lower(),
        "split_seed": str(splits.seed),
    }
    with only_run(work):
        write_scan(work, videos, metadata)
    counts = Counter((v.method, v.split or "none") for v in videos)
    return ScanSummary(len(videos), dict(counts), (*listing.notes, *notes))


def own_splits(root: Path, splits: SplitSettings) -> SplitSettings:
    """The same settings with ROOT/splits as the folder, where there is one and no other is given."""
    if splits.folder is None and (root / "splits" / "train.json").is_file():
        return replace(splits, folder=root / "splits")
    return splits
