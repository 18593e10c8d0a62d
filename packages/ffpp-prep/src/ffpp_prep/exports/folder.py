"""A folder of PNG files, SPLIT/real/VIDEO/FRAME.png and SPLIT/fake/METHOD/VIDEO/FRAME.png, and crops.csv.

`ffpp-prep scan` reads it as a set of pictures, torchvision's ImageFolder each split of it as two classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ffpp_prep.exports.pieces import Piece, crops_of, plain_name, safe_name, to_png
from ffpp_prep.format.files import whole_file, whole_folder
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.jobs import Beat
from ffpp_prep.settings import ExportSettings
from ffpp_prep.text.spreadsheet import cell

__all__ = ["UNIT", "by_video", "finish", "plan", "write"]

UNIT = "video"


def plan(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings) -> list[Piece]:
    """Returns one folder a video."""
    return by_video(table, lambda row: _place(prepared, row))


def write(prepared: PreparedSet, piece: Piece, out: Path, beat: Beat) -> None:
    """Writes a video's folder, whole or not at all."""
    with whole_folder(out / piece.path) as temporary:
        for crop in crops_of(prepared, piece):
            (temporary / f"{crop.frame:06d}.png").write_bytes(to_png(crop.image))
            beat()


def finish(prepared: PreparedSet, table: pd.DataFrame, settings: ExportSettings, out: Path) -> Sequence[str]:
    """Writes crops.csv, a row a file."""
    rows = table["row"].to_numpy()
    places = {row: _place(prepared, row).as_posix() for row in np.unique(rows).tolist()}
    videos = prepared.videos
    listed = pd.DataFrame(
        {
            "file": [
                f"{places[row]}/{frame:06d}.png" for row, frame in zip(rows, table["frame"], strict=True)
            ],
            "label": table["label"],
            "frame": table["frame"],
            "score": table["score"].round(4),
            **{name: videos[name].fillna("").to_numpy()[rows] for name in ("video_id", "method", "split")},
        }
    )
    with whole_file(out / "crops.csv") as temporary:
        listed.map(lambda value: cell(value) if isinstance(value, str) else value).to_csv(
            temporary, index=False
        )
    return []


def by_video(table: pd.DataFrame, place: Callable[[int], PurePosixPath]) -> list[Piece]:
    """Returns a piece for each video, which lies at `place` of its row."""
    return [
        Piece(
            place(int(row)),
            own["row"].to_numpy(np.int64),
            own["frame"].to_numpy(np.int32),
            own["score"].to_numpy(np.float32),
        )
        for row, own in table.groupby("row", sort=True)
    ]


def _place(prepared: PreparedSet, row: int) -> PurePosixPath:
    video = prepared.videos.loc[row]
    split = plain_name(video["split"] if isinstance(video["split"], str) else "", "unsplit")
    parts = ["fake", plain_name(str(video["method"]), "fake")] if video["label"] else ["real"]
    return PurePosixPath(split, *parts, safe_name(str(video["video_id"])))
