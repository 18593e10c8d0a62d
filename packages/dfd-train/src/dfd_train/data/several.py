"""Videos of several faces: which of them a set shows under `data.multiple_faces = "touched"`."""

from __future__ import annotations

import hashlib

import pandas as pd

from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.touched import Places, touched_faces
from ffpp_prep.text.units import counted

PLACES, UNKNOWN = "places", "touched_unknown"


def with_places(prepared: PreparedSet, multiple_faces: str) -> pd.DataFrame:
    """Returns the set's videos, to choose from.

    Where the manipulated face is wanted, with two more columns: `places`, the frames and faces to show, None for the
    best face of any frame; `touched_unknown`, whether a fake's manipulated face can't be told.

    Raises: FileNotFoundError where fakes were not measured; UserError where a part of them can't be read.
    """
    videos = prepared.videos
    if multiple_faces != "touched":
        return videos
    found = touched_faces(prepared)
    places = pd.Series([found.places.get(row) for row in videos.index], videos.index, dtype=object)
    return videos.assign(**{PLACES: places, UNKNOWN: videos.index.isin(found.unknown)})


def places_of(videos: pd.DataFrame) -> dict[int, Places]:
    """Returns the frames and faces to show, by row, of the videos that have several."""
    if PLACES not in videos:
        return {}
    return {int(str(row)): place for row, place in videos[PLACES].items() if place is not None}


def several_line(videos: pd.DataFrame) -> str:
    """Returns how many of these videos show which face of several; empty where the best one is always taken."""
    if PLACES not in videos:
        return ""
    known = videos[PLACES].notna()
    fakes = videos["label"] == 1
    line = f"several faces: {counted(int((known & fakes).sum()), 'fake')} shown by the touched face, "
    line += f"{counted(int((known & ~fakes).sum()), 'original')} by the face in its place"
    unknown = int(videos[UNKNOWN].sum())
    line += (
        f"; of {counted(unknown, 'fake')} with several faces in few frames it can't be told: the best one"
        * (unknown > 0)
    )
    best = int((videos["multiple_faces"] & ~known & ~fakes).sum())
    return line + f"; {counted(best, 'real video')} whose place no fake tells: the best one" * (best > 0)


def places_sha256(prepared: PreparedSet, videos: pd.DataFrame) -> str:
    """Returns the SHA-256 of the frames and faces to show, by the videos' names; empty where there are none."""
    starts = {start: own for own, start in prepared.parts}
    digest = hashlib.sha256()
    places = places_of(videos)
    lines = []
    for row, place in places.items():
        start = max(start for start in starts if start <= row)
        lines.append((str(starts[start].videos.at[row - start, "video_id"]), place))
    for name, place in sorted(lines, key=lambda line: line[0]):
        digest.update(name.encode() + place.frames.tobytes() + place.faces.tobytes())
    return digest.hexdigest() if lines else ""
