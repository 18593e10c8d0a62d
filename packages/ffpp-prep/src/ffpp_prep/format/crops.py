"""The crops of a prepared set, chosen and read: a table of them, and an iterator over their pixels, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.format.frames import spaced_frames
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.made_with import detection_settings, remedy_of
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.format.prepared_videos import altered_by_row
from ffpp_prep.format.schemas import BOXES_SCHEMA, USABLE
from ffpp_prep.format.segments import Ranges
from ffpp_prep.format.tables import read_table

__all__ = ["Crop", "choose_crops", "iter_crops"]

_FACES = pa.schema(
    [("video_id", pa.string()), *(BOXES_SCHEMA.field(name) for name in ("frame", "face", "score"))]
)


class Crop(NamedTuple):
    """One face crop and where it comes from.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        label: 1 fake, 0 real.
        video_id: of the video.
        frame: its number in the video, from 0.
    """

    image: Image
    label: int
    video_id: str
    frame: int


def choose_crops(
    prepared: PreparedSet,
    split: str = "",
    frames: int = 0,
    min_score: float | None = None,
    stored: bool = True,
) -> pd.DataFrame:
    """Returns a split's crops by video and frame: `row` (of `prepared.videos`), `frame`, `score`, `label`.

    Each frame of a decoded video has one row, that of its best face. Of fakes that are altered for a part of
    their time, the other frames are left out, because their label would be wrong.

    Args:
        prepared: the set, from `load_prepared`.
        split: train, val, test or unused; empty for all videos.
        frames: at most this many per video, equally spaced among the existing ones; 0 for all.
        min_score: leave out faces that the detector scored lower; None for the threshold above which `boxes`
            took a box for a face.
        stored: take only crops that `extract` stored, if it stored any. Other crops are cut from their videos when
            they are read, which takes tens of times as long.

    Raises:
        UserError: an unknown split, a value out of its range, or no crop is left.
    """
    if frames < 0:
        raise UserError(f"frames={frames}: must be 0 (for all) or more")
    if min_score is not None and not 0 <= min_score <= 1:
        raise UserError(f"min_score={min_score}: must be between 0 and 1")
    videos = prepared.videos
    if split and split not in (known := sorted(set(videos["split"].dropna()))):
        raise UserError(f"split={split!r}: {prepared.work} has {', '.join(known) or 'no splits'}")
    if min_score is None:
        min_score = float(max(detection_settings(prepared.work).get("threshold", (0.0,))))
    wanted = videos[videos["status"].isin(USABLE) & ((videos["split"] == split) | (not split))]
    chosen = pd.concat(
        [_NONE, *(_of_part(prepared, part, rows) for part, rows in wanted.groupby("boxes_part"))]
    )
    chosen = chosen[_show_their_label(chosen, altered_by_row(wanted))]
    chosen = chosen[chosen["score"] >= min_score].sort_values(["row", "frame"], ignore_index=True)
    if stored and prepared.crops is not None and len(prepared.crops):
        spots = chosen[["row", "frame"]].to_numpy(np.int32)
        chosen = chosen[prepared.are_stored(spots)].reset_index(drop=True)
    if frames:
        chosen = _spaced(chosen, frames)
    if chosen.empty:
        raise UserError(
            f"{prepared.work}: no crop in {f'split {split}' if split else 'any split'} with min_score={min_score:g}"
        )
    return chosen.assign(label=videos["label"].to_numpy()[chosen["row"]])


def iter_crops(
    work: str | Path,
    split: str = "",
    frames: int = 0,
    min_score: float | None = None,
    stored: bool = True,
) -> Iterator[Crop]:
    """Yields the crops of a prepared set by video and frame; arguments and errors as for `choose_crops`.

    Example:
        >>> for crop in iter_crops("work", split="test", frames=10):  # doctest: +SKIP
        ...     print(crop.video_id, crop.frame, crop.label, crop.image.shape)
    """
    prepared = load_prepared(work)
    table = choose_crops(prepared, split, frames, min_score, stored)
    for row, frame, label in table[["row", "frame", "label"]].itertuples(index=False):
        video_id = str(prepared.videos.at[row, "video_id"])
        yield Crop(prepared.read_crop_at(int(row), int(frame)), int(label), video_id, int(frame))


_NONE = pd.DataFrame(
    {"row": pd.Series(dtype="int64"), "frame": pd.Series(dtype="int32"), "score": pd.Series(dtype="float32")}
)


def _of_part(prepared: PreparedSet, part: str, videos: pd.DataFrame) -> pd.DataFrame:
    """Returns the best face of each frame of these videos, whose boxes stand in one part."""
    path = prepared.work / "boxes" / f"boxes-{part}.parquet"
    faces = read_table(path, remedy_of(path), _FACES).to_pandas()
    faces = faces[(faces["face"] == 0) & faces["video_id"].isin(videos["video_id"])]
    return pd.DataFrame(
        {
            "row": prepared.rows.get_indexer(faces["video_id"]),
            "frame": faces["frame"],
            "score": faces["score"],
        }
    )


def _show_their_label(chosen: pd.DataFrame, altered: dict[int, Ranges]) -> NDArray[np.bool_]:
    """Returns which rows show their label: all but a fake's frames in which nothing is altered."""
    kept = np.ones(len(chosen), np.bool_)
    if altered:
        frames, places = chosen["frame"].to_numpy(), chosen.reset_index().groupby("row").indices
        for row, ranges in altered.items():
            own = places.get(row, np.empty(0, np.intp))
            bounds = np.array(ranges).reshape(-1)  # rising: between an even and an odd one a frame is inside
            kept[own] = np.searchsorted(bounds, frames[own], side="right") % 2 == 1
    return kept


def _spaced(chosen: pd.DataFrame, frames: int) -> pd.DataFrame:
    """Returns at most so many rows of each video, equally spaced."""
    places = chosen.groupby("row").indices.values()
    kept = [place[spaced_frames(len(place), frames)] for place in places]
    return chosen.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True) if kept else chosen
