"""The work folder's Parquet tables: videos.parquet of scan, and the parts of boxes and how they join.

WORK/videos.parquet               scan
WORK/boxes/boxes-00000.parquet    see `ffpp_prep.work.parts`
WORK/boxes/videos-00000.parquet
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.format.schemas import (
    BOXES_SCHEMA,
    FORMAT_VERSION,
    LIKENESS_SCHEMA,
    SCAN_COLUMNS,
    SCAN_SCHEMA,
    STATUS_SCHEMA,
    refuse_other_version,
)
from ffpp_prep.format.tables import read_table, write_table
from ffpp_prep.text.typed import typed
from ffpp_prep.work.parts import PartStore

if TYPE_CHECKING:  # `status` needs no decoder
    from ffpp_prep.one_video.boxes import VideoBoxes
    from ffpp_prep.settings import BoxSettings

__all__ = [
    "BoxStore",
    "iter_boxes",
    "read_boxes",
    "read_scan",
    "read_videos",
    "read_videos_and_parts",
    "scanned_root",
    "write_scan",
]

# --- scan -----------------------------------------------------------------------------------------------------


def write_scan(work: Path, videos: Sequence[VideoRecord], metadata: dict[str, str]) -> None:
    """Writes WORK/videos.parquet, one row a video."""
    frame = pd.DataFrame({name: [getattr(v, name) for v in videos] for name in SCAN_COLUMNS})
    frame["label"] = frame["label"].astype("int8")
    for name in (
        "split",
        "original_id",
        "source_id",
        "target_id",
        "mask_path",
        "compression",
        "group",
        "fake_segments",
        "split_by",
    ):
        frame[name] = frame[name].astype(object).where(frame[name] != "", None)
    table = pa.Table.from_pandas(frame, schema=SCAN_SCHEMA, preserve_index=False)
    table = table.replace_schema_metadata({"format_version": str(FORMAT_VERSION), **metadata})
    with whole_file(work / "videos.parquet") as temporary:
        write_table(table, temporary)


def read_scan(work: Path, columns: Sequence[str] = SCAN_COLUMNS) -> pd.DataFrame:
    """Returns the table that `scan` wrote, or these columns of it.

    Raises:
        UserError: there is none, it can't be read, or it is of another format version.
    """
    # Text that is not known is null on disk and "" here, so that callers compare strings with strings.
    frame: pd.DataFrame = _scan_table(work, columns).to_pandas()
    return frame.fillna({name: "" for name in columns if name != "label"})


def scanned_root(work: Path) -> str:
    """Returns the absolute path of the data set that `scan` listed; raises as `read_scan`."""
    return str(_scan_table(work).schema.metadata.get(b"root", b"").decode(errors="replace"))


def _scan_table(work: Path, columns: Sequence[str] = SCAN_COLUMNS) -> pa.Table:
    path = work / "videos.parquet"
    if not path.is_file():
        raise UserError(f"{work}: no videos.parquet here; run  ffpp-prep scan ROOT -o {typed(work)}  first")
    schema = pa.schema([SCAN_SCHEMA.field(name) for name in columns])
    return read_table(path, remedy_of(path), schema, accept=partial(refuse_other_version, path))


# --- boxes ----------------------------------------------------------------------------------------------------


class BoxStore(PartStore["VideoBoxes"]):
    """The parts in WORK/boxes."""

    def __init__(self, work: Path) -> None:
        super().__init__(work / "boxes", "boxes", BOXES_SCHEMA, STATUS_SCHEMA, LIKENESS_SCHEMA)

    def made_with(self) -> dict[str, Any]:
        """Returns the settings of the boxes.

        Raises:
            UserError: no scan, or no boxes yet.
        """
        settings = self.settings()
        if settings is None:
            work = self.folder.parent
            read_scan(work)
            raise UserError(f"{work}: no boxes here; run  ffpp-prep boxes {typed(work)}  first")
        return settings

    def commit(self, results: Iterable[VideoBoxes], settings: BoxSettings, detector: str) -> None:
        """Writes one part; `detector` is the engine that ran."""
        self.commit_part(results, settings, {"detector": detector})


def read_videos(work: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Returns one row a video of WORK: the columns of scan and, where boxes are committed, those of boxes.

    Text that is null in the files (`split`, `original_id`, `boxes_from` and the like) is "" here. A video whose boxes
    are not committed has NaN in the other columns of boxes: `videos["status"].isna()`.

    Args:
        work: the folder.
        columns: these only, in this order; of many videos all take seconds.

    Raises:
        UserError: no scan, an unknown column, or damaged boxes.
    """
    names = list(columns if columns is not None else dict.fromkeys([*SCAN_COLUMNS, *STATUS_SCHEMA.names]))
    _refuse_unknown(names, [*SCAN_COLUMNS, *STATUS_SCHEMA.names], "videos")
    return read_videos_and_parts(Path(work), names)[names]


def read_videos_and_parts(work: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Returns what `read_videos` does, and the column `part`: the part of boxes that has the video's."""
    wanted = {"video_id", *(columns if columns is not None else (*SCAN_COLUMNS, *STATUS_SCHEMA.names))}
    scan = read_scan(work, [name for name in SCAN_COLUMNS if name in wanted])
    status = BoxStore(work).read_status([name for name in STATUS_SCHEMA.names if name in wanted])
    videos = scan.merge(status, on="video_id", how="left")
    return videos.fillna({"boxes_from": ""}) if "boxes_from" in videos else videos


def read_boxes(
    work: str | Path, videos: Iterable[str] | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Returns committed boxes of WORK, one row a kept face, sorted by video, frame, face.

    Args:
        work: the folder.
        videos: the boxes of these `video_id` only.
        columns: these only, in this order; all of DFDC's take gigabytes.

    Raises:
        UserError: no scan, an unknown column, or damaged boxes.
    """
    work = Path(work)
    read_scan(work)
    _refuse_unknown(columns or (), BOXES_SCHEMA.names, "boxes")
    return BoxStore(work).read_rows(_several(videos), columns=columns)


def iter_boxes(
    work: str | Path, videos: Iterable[str] | None = None, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Yields what `read_boxes` returns part by part, to save memory; all rows of a video are in one part."""
    work = Path(work)
    read_scan(work)
    _refuse_unknown(columns or (), BOXES_SCHEMA.names, "boxes")
    yield from BoxStore(work).each_part(_several(videos), columns)


def _several(videos: Iterable[str] | None) -> Iterable[str] | None:
    if isinstance(videos, str):
        raise UserError(f"videos {videos!r}: must be a list of video_id")
    return videos


def _refuse_unknown(columns: Sequence[str], known: Sequence[str], of: str) -> None:
    if unknown := sorted(set(columns) - set(known)):
        known = list(dict.fromkeys(known))
        raise UserError(f"columns {', '.join(unknown)}: {of} have none; they have {', '.join(known)}")
