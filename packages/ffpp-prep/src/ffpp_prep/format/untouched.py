"""Which frames of fakes show nothing manipulated, as `ffpp-prep check-fakes` measured (thesis section 3.2.2)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ffpp_prep.format.made_with import check_made_of, remedy_of, settings_of
from ffpp_prep.format.schemas import FAKES_SCHEMA
from ffpp_prep.format.tables import read_table
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

_VIDEO = pa.schema([("video_id", pa.string())])
_FACES = pa.schema([*_VIDEO, *(FAKES_SCHEMA.field(name) for name in ("frame", "face", "touched"))])

__all__ = ["untouched_frames"]

log = logging.getLogger(__name__)


def untouched_frames(
    work: Path, rows: pd.Index, trained: Collection[int] = (), face: int = 0
) -> frozenset[tuple[int, int]]:
    """Returns (row, frame) of every frame whose face was not touched; `rows` gives each video its row.

    There is a warning where that is every frame of a fake whose row is among `trained`.

    Raises: FileNotFoundError where the fakes were not measured; UserError where a part cannot be read, or is
    of other boxes.
    """
    commits = sorted((work / "fakes").glob("videos-*.parquet"))
    if not commits:
        raise FileNotFoundError(
            f"{work} does not say which fakes are untouched: run  ffpp-prep check-fakes {typed(work)}"
        )
    check_made_of(work / "fakes", settings_of(commits[0]).get("boxes"))
    newest = {
        str(video): path.name
        for path in commits
        for video in read_table(path, remedy_of(path), _VIDEO)["video_id"].to_pylist()
    }
    found: set[tuple[int, int]] = set()
    whole: list[str] = []
    for path in commits:
        faces = path.with_name(path.name.replace("videos-", "fakes-", 1))
        part = read_table(faces, remedy_of(faces), _FACES).to_pandas()
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
        log.warning("untouched: %s left out, because no face differs: %s", counted(len(lost), "fake"), some)
    return frozenset(spot for spot in found if spot[0] >= 0)
