"""The table of a prepared set's videos: what `scan` wrote, with what `boxes` found out (docs/format.md)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_version
from ffpp_prep.format.segments import Ranges, altered_frames
from ffpp_prep.format.tables import read_table

__all__ = ["NEEDED", "STATUS_COLUMNS", "altered_by_row", "read_prepared_videos", "with_likeness"]

NEEDED = (
    *("video_id", "path", "dataset", "method", "compression", "label"),
    *("split", "original_id", "source_id", "target_id"),
)
LIKENESS = "likeness"  # of each video, for the audit of leaks only: all loaders would hold it
STATUS_COLUMNS = ("status", "frames_decoded", "multiple_faces")


def read_prepared_videos(work: str | Path) -> tuple[pd.DataFrame, bool]:
    """Returns what `PreparedSet.videos` and `PreparedSet.demonstration` are, without opening anything of WORK/faces.

    Raises:
        FileNotFoundError: the folder or its table is missing.
        UserError: a file is damaged, lacks columns or has another format version.
    """
    work = Path(work)
    if not work.is_dir():
        raise FileNotFoundError(f"no such folder: {work}")
    table = work / "videos.parquet"
    if not table.is_file():
        raise FileNotFoundError(
            f"{work} is no prepared data set: it has no videos.parquet (`ffpp-prep scan` writes it)"
        )
    scan = read_table(table, remedy_of(table))
    _require(table, scan.column_names, NEEDED)
    metadata = scan.schema.metadata or {}
    refuse_version(
        table, metadata.get(b"format_version", str(FORMAT_VERSION).encode()).decode(errors="replace")
    )
    videos = _merge_status(scan.to_pandas(), work)
    videos["label"] = videos["label"].astype("int8")
    if not videos["video_id"].is_unique:
        twice = videos.loc[videos["video_id"].duplicated(), "video_id"].iloc[0]
        raise UserError(f"{table}: video_id {twice!r} appears more than once")
    return videos, metadata.get(b"demonstration") == b"true"


def altered_by_row(videos: pd.DataFrame) -> dict[int, Ranges]:
    """Returns what `PreparedSet.altered` says of the fakes that are altered for a part of their time, by row.

    Raises:
        UserError: a text of `fake_segments` is none.
    """
    if "fake_segments" not in videos:
        return {}
    told = videos["fake_segments"].notna() & (videos["fake_segments"] != "")
    some = videos[told & (videos["label"] == 1)]
    rates = some["fps"] if "fps" in some else pd.Series(0.0, some.index)
    lengths = some["frames_decoded"].fillna(0)
    values = zip(some.index.tolist(), some["fake_segments"], rates, lengths, strict=True)
    found = {row: altered_frames(text, float(fps), int(length)) for row, text, fps, length in values}
    return {row: ranges for row, ranges in found.items() if ranges is not None}


def with_likeness(work: Path, videos: pd.DataFrame) -> pd.DataFrame:
    """Returns a work folder's videos with the column that tells which look alike; null if `boxes` didn't record it."""
    recorded: dict[str, bytes | None] = {}
    for path in sorted((work / "boxes").glob("videos-*.parquet")):
        part = read_table(path, remedy_of(path))
        if LIKENESS in part.column_names:
            recorded |= dict(zip(part["video_id"].to_pylist(), part[LIKENESS].to_pylist(), strict=True))
    return videos.assign(**{LIKENESS: [recorded.get(video_id) for video_id in videos["video_id"]]})


def _merge_status(videos: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Returns the scan's rows with the columns that `boxes` found out, where it did."""
    parts = sorted((work / "boxes").glob("videos-*.parquet"))
    if not parts:
        return videos.assign(status="not_done", frames_decoded=0, multiple_faces=False, boxes_part=None)
    tables = []
    for path in parts:
        part = read_table(path, remedy_of(path))
        _require(path, part.column_names, ("video_id", *STATUS_COLUMNS))
        part = part.drop_columns(list({LIKENESS}.intersection(part.column_names)))
        tables.append(part.to_pandas().assign(boxes_part=path.stem.removeprefix("videos-")))
    status = pd.concat(tables, ignore_index=True).drop_duplicates("video_id", keep="last")
    new = [name for name in status.columns if name == "video_id" or name not in videos.columns]
    merged = videos.merge(status[new], on="video_id", how="left", validate="one_to_one")
    return merged.assign(
        status=merged["status"].fillna("not_done"),
        frames_decoded=merged["frames_decoded"].fillna(0).astype("int64"),
        multiple_faces=merged["multiple_faces"].astype("boolean").fillna(False).astype(bool),
    )


def _require(path: Path, present: list[str], wanted: tuple[str, ...]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise UserError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}")
