"""Which videos a preview shows, and a few of their frames with what was found there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.format.frames import spaced_frames
from ffpp_prep.format.points import unpacked
from ffpp_prep.format.records import REAL_METHOD
from ffpp_prep.text.units import counted
from ffpp_prep.video import VideoError, open_video

FRAMES = 5  # of each video
LOOK_AHEAD = (
    600  # they are taken from so many frames at the beginning: a two-hour video is not decoded for a look
)
UNSURE = 0.8  # share of frames with a face, below which a video is worth a look

Row = dict[Hashable, Any]


@dataclass(frozen=True)
class Section:
    """A heading, and rows of videos under it."""

    title: str
    note: str
    videos: tuple[Row, ...]


@dataclass(frozen=True)
class ShownFrame:
    """A frame (H, W, 3) uint8 RGB, and its boxes: rows of the boxes table."""

    index: int
    picture: NDArray[np.uint8]
    boxes: pd.DataFrame
    points: tuple[NDArray[np.float32], ...] = ()
    """of each face whose landmarks are known, (468, 2) x, y"""


@dataclass(frozen=True)
class ShownVideo:
    """Some frames of a video; `error` says why there are none or fewer."""

    frames: tuple[ShownFrame, ...]
    error: str = ""


def choose(videos: pd.DataFrame, count: int) -> list[Section]:
    """Returns a section for each method, originals first, with `count` videos spread over its list; and those
    worth a look.
    """
    done = videos[videos["frames_decoded"].fillna(0) > 0].sort_values("video_id")
    worth = _worth_a_look(done)
    shown = f"{min(count, len(worth)):,} of {counted(len(worth), 'video')}"
    note = f"several faces, damaged, or a face in few frames: {shown}"
    sections = [Section("Worth a look", note, _rows(worth.head(count)))]
    methods = sorted(done["method"].unique(), key=lambda name: (name != REAL_METHOD, name))
    for method in methods:
        own = done[done["method"] == method]
        places = np.unique(np.linspace(0, len(own) - 1, count).round().astype(int))
        sections.append(
            Section(method, f"{len(places):,} of {counted(len(own), 'video')}", _rows(own.iloc[places]))
        )
    return [section for section in sections if section.videos]


def look_at(
    video: Row, boxes: pd.DataFrame | None, settings: dict[str, Any], landmarks: pd.DataFrame | None = None
) -> ShownVideo:
    """Decodes a few equally spaced frames of a video; `landmarks`: its rows, where there are any."""
    if boxes is None:
        return ShownVideo((), "it has no boxes")
    wanted = set(spaced_frames(min(int(video["frames_decoded"]), LOOK_AHEAD), FRAMES))
    frames = []
    try:
        with open_video(video["path"], settings.get("decoder", "pyav")) as reader:
            reader.match((int(video["width"]), int(video["height"])))
            for frame in reader:
                if frame.index in wanted:
                    own = boxes[boxes["frame"] == frame.index]
                    frames.append(ShownFrame(frame.index, frame.rgb(), own, _points(own, landmarks)))
                if len(frames) == len(wanted):
                    break
    except VideoError as error:
        return ShownVideo((), str(error))
    return ShownVideo(tuple(frames), "" if len(frames) == len(wanted) else "it has fewer frames than it had")


def _points(boxes: pd.DataFrame, landmarks: pd.DataFrame | None) -> tuple[NDArray[np.float32], ...]:
    if landmarks is None:
        return ()
    known = boxes.merge(
        landmarks[landmarks["flag"] >= 0.5][["frame", "face", "points"]], on=["frame", "face"]
    )
    return tuple(unpacked(row.points, (row.x1, row.y1, row.x2, row.y2)) for row in known.itertuples())


def _worth_a_look(done: pd.DataFrame) -> pd.DataFrame:
    """Returns videos with a face in few frames, damaged ones and those of several faces, a kind in turn, the
    oddest first.
    """
    share = done["frames_with_face"] / done["frames_decoded"]
    several, damaged = done["multiple_faces"].astype(bool), done["status"] == "partial"
    kind = np.select([share < UNSURE, damaged, several], [0, 1, 2], default=-1)
    odd = done.assign(share=share, kind=kind)[kind >= 0].sort_values(["share", "video_id"])
    return odd.assign(turn=odd.groupby("kind").cumcount()).sort_values(["turn", "kind"])


def _rows(videos: pd.DataFrame) -> tuple[Row, ...]:
    return tuple(videos.to_dict("records"))
