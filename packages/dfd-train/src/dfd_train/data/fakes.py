"""Which frames of fakes show nothing manipulated, as `ffpp-prep check-fakes` measured (thesis section 3.2.2)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dfd_train.data.boxes import check_made_of
from dfd_train.data.checked import checked_table, settings_of

_VIDEO = pa.schema([("video_id", pa.string())])
_FACES = pa.schema([*_VIDEO, ("frame", pa.int32()), ("face", pa.int8()), ("touched", pa.bool_())])

log = logging.getLogger(__name__)


def untouched_frames(
    work: Path, rows: pd.Index, trained: Collection[int] = (), face: int = 0
) -> frozenset[tuple[int, int]]:
    """(row, frame) of every frame whose face was not touched; `rows` gives each video its row.

    There is a warning where that is every frame of a fake whose row is among `trained`.

    Raises: FileNotFoundError where the fakes were not measured; UserError where a part cannot be read, or is
    of other boxes.
    """
    commits = sorted((work / "fakes").glob("videos-*.parquet"))
    if not commits:
        raise FileNotFoundError(
            f"{work} does not say which fakes are untouched: run  ffpp-prep check-fakes {work}"
        )
    check_made_of(work / "fakes", settings_of(commits[0]).get("boxes"))
    newest = {
        str(video): path.name
        for path in commits
        for video in checked_table(path, _VIDEO)["video_id"].to_pylist()
    }
    found: set[tuple[int, int]] = set()
    whole: list[str] = []
    for path in commits:
        part = checked_table(path.with_name(path.name.replace("videos-", "fakes-", 1)), _FACES).to_pandas()
        part = part[part["face"] == face]
        part = part[part["video_id"].astype(str).map(newest) == path.name]
        touched = part.groupby(part["video_id"].astype(str))["touched"].any()
        whole += [video for video, any_touched in touched.items() if not any_touched]
        part = part[~part["touched"]]
        found.update(
            zip(rows.get_indexer(part["video_id"].astype(str)).tolist(), part["frame"].tolist(), strict=True)
        )
    lost = [rows[row] for row in sorted(set(rows.get_indexer(whole)) & set(trained))]
    if lost:
        some = ", ".join(lost[:5]) + (", …" if len(lost) > 5 else "")
        log.warning("untouched: %d fakes are left out whole, no face in them differs: %s", len(lost), some)
    return frozenset(spot for spot in found if spot[0] >= 0)
