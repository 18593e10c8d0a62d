"""Where the manipulated face of several is: on the tracks that `ffpp-prep check-fakes` marked, and in the same place of
the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ffpp_prep.format.made_with import check_made_of, remedy_of, settings_of
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.schemas import BOXES_SCHEMA, CHECKS_SCHEMA, USABLE
from ffpp_prep.format.segments import Ranges
from ffpp_prep.format.tables import read_table
from ffpp_prep.text.typed import typed

__all__ = ["Places", "TouchedFaces", "touched_faces"]

SAME_PLACE = 0.3  # IoU of a fake's face and its original's in one frame
_CORNERS = ["x1", "y1", "x2", "y2"]
_BOXES = pa.schema(
    [
        ("video_id", pa.string()),
        *(BOXES_SCHEMA.field(name) for name in ("frame", "face", "track", *_CORNERS)),
    ]
)
_MARKS = pa.schema([CHECKS_SCHEMA.field(name) for name in ("video_id", "tracks_touched")])


@dataclass(frozen=True, eq=False)
class Places:
    """The frames of a video that show the wanted face, ascending (N,), and which face of each it is (N,)."""

    frames: npt.NDArray[np.int32]
    faces: npt.NDArray[np.int8]

    def face_of(self, frame: int) -> int | None:
        """Returns the face in a frame; None where it isn't in it."""
        at = int(np.searchsorted(self.frames, frame))
        return int(self.faces[at]) if at < len(self.frames) and self.frames[at] == frame else None

    def within(self, ranges: Ranges) -> Places:
        """Returns the places in these frames."""
        inside = np.zeros(len(self.frames), bool)
        for first, stop in ranges:
            inside |= (self.frames >= first) & (self.frames < stop)
        return Places(self.frames[inside], self.faces[inside])


@dataclass(frozen=True)
class TouchedFaces:
    """The manipulated faces of a prepared set's videos in which there are several in some frame.

    Attributes:
        places: by row of the set's videos: of fakes the touched faces, of originals those in the same place.
        unknown: rows of fakes of which it can't be told; their best face may be anybody's.
        best: rows of real videos with several faces of which no fake says whom it shows: any face is real.
    """

    places: Mapping[int, Places] = field(default_factory=dict)
    unknown: frozenset[int] = frozenset()
    best: frozenset[int] = frozenset()


def touched_faces(prepared: PreparedSet) -> TouchedFaces:
    """Finds the manipulated faces of a set, or of several that are one.

    Raises:
        FileNotFoundError: the fakes of a set were not measured.
        UserError: a part can't be read, or is of other boxes.
    """
    places: dict[int, Places] = {}
    unknown: set[int] = set()
    best: set[int] = set()
    for own, start in prepared.parts:
        found = _of_one(own)
        places |= {row + start: place for row, place in found.places.items()}
        unknown |= {row + start for row in found.unknown}
        best |= {row + start for row in found.best}
    return TouchedFaces(places, frozenset(unknown), frozenset(best))


def _of_one(prepared: PreparedSet) -> TouchedFaces:
    videos = prepared.videos
    usable = videos[videos["status"].isin(USABLE)]
    several = usable["multiple_faces"].astype(bool)
    if "frames_multi_face" in usable:
        several |= usable["frames_multi_face"] > 0
    rows = set(usable.index[several])
    fakes = set(usable.index[usable["label"] == 1])
    if not rows:
        return TouchedFaces()
    original = {row: prepared.original_of(row) for row in fakes}
    comparable = any(original[row] is not None for row in rows & fakes)  # check-fakes marks no others
    marks = _marks(prepared.work) if comparable else {}
    # a fake of one face says too where its original of several shows the same one
    telling = {row for row in fakes if row in rows or original[row] in rows}
    boxes = _boxes(prepared, telling | (rows - fakes))
    touched: dict[int, pd.DataFrame] = {}
    for row in telling & boxes.keys():
        tracks = marks.get(str(videos.at[row, "video_id"]), ())
        own = boxes[row]
        chosen = own[own["track"].isin(tracks)] if row in rows else own
        if len(chosen):  # of two touched faces, the one of the higher score
            touched[row] = chosen.drop_duplicates("frame")
    places = {row: _places(own) for row, own in touched.items() if row in rows}
    theirs: dict[int | None, list[pd.DataFrame]] = {}
    for fake in sorted(touched):
        theirs.setdefault(original[fake], []).append(touched[fake])
    for row in rows - fakes:
        if len(same := _same_places(boxes[row], theirs.get(row, ()))):
            places[row] = _places(same)
    return TouchedFaces(
        places, frozenset(rows & fakes - places.keys()), frozenset(rows - fakes - places.keys())
    )


def _marks(work: Path) -> dict[str, list[int]]:
    """Returns the touched tracks by fake, where they are known."""
    commits = sorted((work / "fakes").glob("videos-*.parquet"))
    if not commits:
        raise FileNotFoundError(
            f"{work} does not say which face of several is manipulated: run  ffpp-prep check-fakes {typed(work)}"
        )
    check_made_of(work / "fakes", settings_of(commits[0]).get("boxes"))
    found: dict[str, list[int]] = {}
    for path in commits:
        table = read_table(path, remedy_of(path), _MARKS)
        columns = (table[name].to_pylist() for name in _MARKS.names)
        found |= {video: tracks or [] for video, tracks in zip(*columns, strict=True)}
    return found


def _boxes(prepared: PreparedSet, rows: Iterable[int]) -> dict[int, pd.DataFrame]:
    """Returns the boxes of some videos by row, sorted by frame and face."""
    found: dict[int, pd.DataFrame] = {}
    wanted = prepared.videos.loc[sorted(rows)]
    for part, own in wanted.groupby("boxes_part"):
        path = prepared.work / "boxes" / f"boxes-{part}.parquet"
        table = read_table(path, remedy_of(path), _BOXES, tuple(own["video_id"])).to_pandas()
        table = table.sort_values(["frame", "face"], kind="stable")
        for video_id, boxes in table.groupby("video_id"):
            found[prepared.row(str(video_id))] = boxes
    return found


def _places(boxes: pd.DataFrame) -> Places:
    return Places(boxes["frame"].to_numpy(np.int32), boxes["face"].to_numpy(np.int8))


def _same_places(own: pd.DataFrame, theirs: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Returns of each frame the original's face that most fakes manipulated; none of frames where none did."""
    votes = pd.Series(0, own.index)
    for fake in theirs:
        both = own.reset_index().merge(fake, on="frame", suffixes=("", "_fake"))
        both = both.assign(iou=_iou(both))
        both = both[both["iou"] >= SAME_PLACE].sort_values("iou", ascending=False, kind="stable")
        votes.loc[both.drop_duplicates("frame")["index"]] += 1
    chosen = own.assign(votes=votes)[votes > 0].sort_values(
        ["frame", "votes"], ascending=[True, False], kind="stable"
    )
    return chosen.drop_duplicates("frame")


def _iou(both: pd.DataFrame) -> npt.NDArray[np.float64]:
    first, second = (
        both[[f"{name}{end}" for name in _CORNERS]].to_numpy(np.float64) for end in ("", "_fake")
    )
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    common = (high - low).clip(0).prod(axis=1)
    areas = sum((corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (first, second))
    shares: npt.NDArray[np.float64] = common / np.maximum(areas - common, 1e-9)
    return shares
