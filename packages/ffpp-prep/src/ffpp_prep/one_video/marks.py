"""Which tracks of a fake were manipulated: by its mask where there is one, else by the difference from its original."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ffpp_prep.video import beating, open_video

__all__ = ["TouchedTracks", "by_difference", "by_mask", "mask_shares"]

Face = tuple[int, int]  # frame, face
Shares = dict[Face, float]

WHITE = 64  # of 255: what a lossy codec leaves of black stays below, grey masks lie above
COVERED = 0.1  # of a face's box; the masks of a neighbour reach less far into it
# Of a track's faces. A fake may flicker; and of untouched faces at most 5 % are taken for touched ones
# (benchmarks/check_fakes.py).
TOUCHED_SHARE = 0.25


@dataclass(frozen=True)
class TouchedTracks:
    """The tracks of a fake that were manipulated, those of which it can't be told, and by what: all others weren't."""

    touched: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    by: Literal["", "mask", "difference"] = ""


def mask_shares(
    mask: str,
    boxes: pd.DataFrame,
    size: tuple[int, int],
    decoder: str = "pyav",
    beat: Callable[[], None] = lambda: None,
) -> Shares:
    """Returns which share of each face's box the mask covers, as far as the mask's video goes.

    Args:
        mask: a video that is white where the fake's frames were manipulated.
        boxes: the fake's rows of WORK/boxes.
        size: width and height of the fake's frames; the mask's may be others.
        decoder: see `ffpp_prep.video`.
        beat: called every few frames.

    Raises:
        ffpp_prep.video.VideoError: it can't be read.
    """
    faces = {int(str(frame)): group for frame, group in boxes.groupby("frame")}
    found: Shares = {}
    with open_video(mask, decoder) as reader:
        for frame in beating(reader, beat):
            if frame.index not in faces:
                continue
            white = frame.rgb().max(axis=2) >= WHITE
            height, width = white.shape
            for row in faces[frame.index].itertuples():
                across, down = width / size[0], height / size[1]
                inside = white[
                    max(0, int(row.y1 * down)) : int(row.y2 * down) + 1,
                    max(0, int(row.x1 * across)) : int(row.x2 * across) + 1,
                ]
                found[frame.index, int(row.face)] = float(inside.mean()) if inside.size else 0.0
    return found


def by_mask(shares: Shares, boxes: pd.DataFrame) -> TouchedTracks | None:
    """Returns the marks by a mask, in whose frames some face must be covered; else None."""
    frames = {frame for (frame, _), share in shares.items() if share >= COVERED}
    if not frames:
        return None
    touched, unknown = [], []
    for track, own in boxes.groupby("track"):
        known = [shares.get(face) for face in zip(own["frame"], own["face"], strict=True)]
        if all(share is None for share in known):
            unknown.append(int(str(track)))
        shown = [s for s, frame in zip(known, own["frame"], strict=True) if s is not None and frame in frames]
        if shown and float(np.median(shown)) >= COVERED:
            touched.append(int(str(track)))
    return TouchedTracks(tuple(touched), tuple(unknown), "mask")


def by_difference(judged: Iterable[tuple[int, str]]) -> TouchedTracks:
    """Returns the marks by how each face was judged: pairs of its track and touched, untouched or unknown."""
    tracks: dict[int, list[str]] = {}
    for track, verdict in judged:
        tracks.setdefault(track, []).append(verdict)
    touched = {track for track, own in tracks.items() if own.count("touched") >= TOUCHED_SHARE * len(own)}
    unknown = {track for track, own in tracks.items() if 2 * own.count("unknown") > len(own)} - touched
    return TouchedTracks(tuple(sorted(touched)), tuple(sorted(unknown)), "difference")
