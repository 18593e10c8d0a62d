"""A fake's boxes from its original, whose frames it shares one to one: counted by decoding, nothing is detected."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.format.tables import read_table
from ffpp_prep.one_video.boxes import VideoBoxes
from ffpp_prep.one_video.likeness import Likeness
from ffpp_prep.text.typed import typed
from ffpp_prep.video import VideoError, beating, open_video

__all__ = ["Original", "borrow_boxes"]


@dataclass(frozen=True)
class Original:
    """A finished original: how its reading went (without rows), and the file with its boxes."""

    result: VideoBoxes
    boxes: Path


def borrow_boxes(
    video_id: str,
    path: str,
    original: Original,
    decoder: str = "pyav",
    beat: Callable[[], None] = lambda: None,
) -> VideoBoxes | None:
    """Returns the original's boxes under the fake's name and times; None where the two don't match frame by frame.

    They match when every frame of both can be decoded, and number and size of the frames are equal. What a header
    says doesn't count. Who gets None detects, which also finds out what is wrong with a video.

    Args:
        video_id: of the fake.
        path: of the fake's file.
        original: the video that it was made from.
        decoder: see `ffpp_prep.video`.
        beat: called every few frames.
    """
    wanted = original.result
    if wanted.status != "ok":
        return None
    started = time.perf_counter()
    pts: list[int] = []
    try:
        with open_video(path, decoder) as reader:
            likeness = Likeness(reader.info)
            for frame in likeness.watched(beating(reader, beat)):
                # Sizes are compared at both ends: converting each frame would cost as much as decoding it.
                if frame.index in (0, wanted.frames_decoded - 1):
                    if frame.rgb().shape[:2] != (wanted.height, wanted.width):
                        return None
                elif frame.index >= wanted.frames_decoded:
                    return None
                pts.append(frame.pts)
            info, error = reader.info, reader.error
    except VideoError:
        return None
    if error or len(pts) != wanted.frames_decoded:
        return None
    return replace(
        wanted,
        video_id=video_id,
        fps=info.fps,
        frames_container=info.frames,
        boxes_from=wanted.video_id,
        decode_s=time.perf_counter() - started,
        detect_s=0.0,
        likeness=likeness.content(),
        rows=_rows(video_id, original, np.array(pts, np.int64)),
    )


def _rows(video_id: str, original: Original, pts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    remedy = f"run  ffpp-prep verify {typed(original.boxes.parent.parent)} --repair"
    rows = read_table(original.boxes, remedy, BOXES_SCHEMA, (original.result.video_id,))
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), np.int32)), pa.array([video_id]))
    rows = rows.set_column(rows.schema.get_field_index("video_id"), BOXES_SCHEMA.field("video_id"), names)
    times = pa.array(pts[rows["frame"].to_numpy()])
    rows = rows.set_column(rows.schema.get_field_index("pts"), BOXES_SCHEMA.field("pts"), times)
    return rows.replace_schema_metadata(None).cast(BOXES_SCHEMA)
