"""The work folder's Parquet tables: what is committed, by whom it was made, and what is still to do.

    WORK/videos.parquet               scan
    WORK/boxes/boxes-00000.parquet    written first
    WORK/boxes/videos-00000.parquet   written last: the commit of that part

A video's boxes are done when its row stands in a committed `videos-*` part; the latest part wins. Work that is
left is a set difference on `video_id`, so neither part size nor order nor added videos ever break a resume.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ffpp_prep.boxes import BOXES_SCHEMA, VideoBoxes
from ffpp_prep.errors import UsageError
from ffpp_prep.files import sweep, whole_file
from ffpp_prep.layouts.record import VideoRecord

FORMAT_VERSION = 1
SCAN_COLUMNS = tuple(f.name for f in fields(VideoRecord))
STATUS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float32()),
        ("frames_container", pa.int32()),
        ("frames_decoded", pa.int32()),
        ("frames_with_face", pa.int32()),
        ("frames_multi_face", pa.int32()),
        ("multiple_faces", pa.bool_()),
        ("boxes_from", pa.string()),
        ("decode_s", pa.float32()),
        ("detect_s", pa.float32()),
    ]
)


def fingerprint(settings: Any) -> str:
    """SHA-256 of a settings dataclass: equal settings, equal fingerprint."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()


def refuse_other_settings(where: Path, before: dict[str, Any], now: Any) -> None:
    """Compares stored settings with this run's.

    Raises:
        UsageError: they differ; the message names each difference.
    """
    current = asdict(now)
    differing = [
        f"{name}={before.get(name)!r} (now {current.get(name)!r})"
        for name in sorted({*before, *current})
        if before.get(name) != current.get(name)
    ]
    if differing:
        raise UsageError(
            f"{where} was written with {', '.join(differing)}; "
            f"use those settings again, another WORK folder, or remove {where}"
        )


# --- scan -----------------------------------------------------------------------------------------------------


def write_scan(work: Path, videos: Sequence[VideoRecord], metadata: dict[str, str]) -> None:
    """Writes WORK/videos.parquet, one row a video."""
    frame = pd.DataFrame([asdict(v) for v in videos], columns=list(SCAN_COLUMNS))
    frame["label"] = frame["label"].astype("int8")
    for name in ("split", "original_id", "source_id", "target_id", "mask_path", "compression", "group"):
        frame[name] = frame[name].astype(object).where(frame[name] != "", None)
    table = pa.Table.from_pandas(frame, schema=_scan_schema(), preserve_index=False)
    table = table.replace_schema_metadata({"format_version": str(FORMAT_VERSION), **metadata})
    with whole_file(work / "videos.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_scan(work: Path) -> pd.DataFrame:
    """The table that `scan` wrote.

    Raises:
        UsageError: there is none, it can't be read, or it is of another format version.
    """
    path = work / "videos.parquet"
    if not path.is_file():
        raise UsageError(f"{work}: no videos.parquet here; run  ffpp-prep scan ROOT -o {work}  first")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path}: not readable as Parquet ({str(error).splitlines()[0]})") from error
    version = (table.schema.metadata or {}).get(b"format_version", b"?").decode()
    if version != str(FORMAT_VERSION):
        raise UsageError(f"{path}: format version {version}; this ffpp-prep reads {FORMAT_VERSION}")
    # Text that is not known is null on disk and "" here, so that callers compare strings with strings.
    return table.to_pandas().fillna({name: "" for name in SCAN_COLUMNS if name != "label"})


def _scan_schema() -> pa.Schema:
    return pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in SCAN_COLUMNS])


# --- boxes ----------------------------------------------------------------------------------------------------


class BoxStore:
    """The parts in WORK/boxes: reads what is committed, commits more."""

    def __init__(self, work: Path) -> None:
        self.folder = work / "boxes"

    def sweep(self) -> None:
        """Removes data files without their commit; only for the run that holds the lock."""
        if self.folder.is_dir():
            sweep(self.folder)
            for path in self.folder.glob("boxes-*.parquet"):
                if not self._commit_of(path).exists():
                    path.unlink()

    def commits(self) -> list[Path]:
        """The committed parts, oldest first."""
        return sorted(self.folder.glob("videos-*.parquet"))

    def settings(self) -> dict[str, Any] | None:
        """The settings of the committed parts; None where there are none."""
        commits = self.commits()
        if not commits:
            return None
        settings: dict[str, Any] = json.loads(pq.read_schema(commits[0]).metadata[b"settings"])
        return settings

    def commit(self, results: Iterable[VideoBoxes], settings: Any, detector: str) -> None:
        """Writes one part: the boxes first, then the videos' rows, whose presence makes the part count."""
        done = sorted(results, key=lambda r: r.video_id)
        commits = self.commits()
        number = int(commits[-1].stem.split("-")[1]) + 1 if commits else 0
        metadata = {
            "format_version": str(FORMAT_VERSION),
            "settings": json.dumps(asdict(settings)),
            "fingerprint": fingerprint(settings),
            "detector": detector,
        }
        tables = [r.rows for r in done if r.rows is not None]
        rows = pa.concat_tables(tables).unify_dictionaries() if tables else BOXES_SCHEMA.empty_table()
        with whole_file(self.folder / f"boxes-{number:05d}.parquet") as temporary:
            pq.write_table(rows.replace_schema_metadata(metadata), temporary, compression="zstd")
        columns = {name: [getattr(r, name) for r in done] for name in STATUS_SCHEMA.names}
        columns["boxes_from"] = [name or None for name in columns["boxes_from"]]
        status = pa.table(columns, schema=STATUS_SCHEMA).replace_schema_metadata(metadata)
        with whole_file(self.folder / f"videos-{number:05d}.parquet") as temporary:
            pq.write_table(status, temporary, compression="zstd")

    def read_status(self) -> pd.DataFrame:
        """One row a video whose boxes are committed, the latest one: columns of STATUS_SCHEMA, and `part`."""
        parts = [
            pq.read_table(path).to_pandas().assign(part=path.stem.split("-")[1]) for path in self.commits()
        ]
        if not parts:
            return STATUS_SCHEMA.empty_table().to_pandas().assign(part="")
        return pd.concat(parts, ignore_index=True).drop_duplicates("video_id", keep="last")

    def read_boxes(self, video_ids: Iterable[str] | None = None) -> pd.DataFrame:
        """The committed boxes, sorted by video, frame, face; of all videos or of some."""
        status = self.read_status()
        wanted = None if video_ids is None else list(video_ids)
        frames = []
        for path in self.commits():
            part = path.stem.split("-")[1]
            valid = set(status.loc[status["part"] == part, "video_id"])
            keep = valid if wanted is None else valid.intersection(wanted)
            if keep:
                table = pq.read_table(
                    path.with_name(f"boxes-{part}.parquet"), filters=[("video_id", "in", sorted(keep))]
                )
                frames.append(table.cast(_plain(table.schema)).to_pandas())
        if not frames:
            return BOXES_SCHEMA.empty_table().to_pandas()
        boxes = pd.concat(frames, ignore_index=True)
        return boxes.sort_values(["video_id", "frame", "face"], kind="stable", ignore_index=True)

    def _commit_of(self, boxes: Path) -> Path:
        return boxes.with_name(boxes.name.replace("boxes-", "videos-", 1))


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with dictionary columns as plain strings: parts have different dictionaries."""
    return pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in schema])


def read_videos(work: str | Path) -> pd.DataFrame:
    """One row a video of WORK: the columns of scan and, where boxes are committed, those of boxes."""
    work = Path(work)
    return read_scan(work).merge(BoxStore(work).read_status().drop(columns="part"), on="video_id", how="left")


def read_boxes(work: str | Path) -> pd.DataFrame:
    """All committed boxes of WORK, one row a kept face, sorted by video, frame, face."""
    work = Path(work)
    read_scan(work)
    return BoxStore(work).read_boxes()
