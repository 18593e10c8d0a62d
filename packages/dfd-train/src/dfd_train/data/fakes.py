"""Which frames of fakes show nothing manipulated, as `ffpp-prep check-fakes` measured (thesis section 3.2.2)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dfd_train.data.boxes import check_made_of, settings_of
from dfd_train.errors import UserError


def untouched_frames(work: Path, rows: pd.Index, face: int = 0) -> frozenset[tuple[int, int]]:
    """(row, frame) of every frame whose face was not touched; `rows` gives each video its row.

    Raises: FileNotFoundError where the fakes were not measured; UserError where a part cannot be read, or is
    of other boxes.
    """
    commits = sorted((work / "fakes").glob("videos-*.parquet"))
    if not commits:
        raise FileNotFoundError(
            f"{work} does not say which fakes are untouched: run  ffpp-prep check-fakes {work}"
        )
    check_made_of(work / "fakes", settings_of(commits[0]).get("boxes"))
    newest = {str(video): path.name for path in commits for video in _read(path, ["video_id"])["video_id"]}
    found: set[tuple[int, int]] = set()
    for path in commits:
        part = _read(
            path.with_name(path.name.replace("videos-", "fakes-", 1)),
            ["video_id", "frame", "face", "touched"],
        )
        part = part[~part["touched"] & (part["face"] == face)]
        part = part[part["video_id"].astype(str).map(newest) == path.name]
        found.update(
            zip(rows.get_indexer(part["video_id"].astype(str)).tolist(), part["frame"].tolist(), strict=True)
        )
    return frozenset(spot for spot in found if spot[0] >= 0)


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pq.read_table(path, columns=columns).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
