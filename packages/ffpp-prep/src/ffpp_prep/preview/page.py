"""The preview as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from ffpp_prep.preview.draw import with_boxes
from ffpp_prep.preview.videos import Row, Section, ShownVideo
from ffpp_prep.text.pages import environment
from ffpp_prep.text.units import counted


@dataclass(frozen=True)
class _Picture:
    uri: str
    frame: int
    text: str
    width: int
    height: int


@dataclass(frozen=True)
class _Video:
    video_id: str
    facts: tuple[str, ...]
    error: str
    pictures: tuple[_Picture, ...]


def render_page(
    work: Path,
    videos: pd.DataFrame,
    settings: dict[str, Any],
    sections: Sequence[Section],
    shown: Mapping[str, ShownVideo],
) -> str:
    """Returns the page's HTML: counts by method, then each section's videos with their frames."""
    rendered = {video_id: _pictures(video) for video_id, video in shown.items()}
    content = [
        (
            section,
            [
                _Video(v["video_id"], _facts(v), shown[v["video_id"]].error, rendered[v["video_id"]])
                for v in section.videos
            ],
        )
        for section in sections
    ]
    return (
        environment("ffpp_prep.preview")
        .get_template("page.html")
        .render(name=work.name, threshold=settings["threshold"], counts=_counts(videos), sections=content)
    )


def _pictures(video: ShownVideo) -> tuple[_Picture, ...]:
    pictures = []
    for frame in video.frames:
        image = with_boxes(frame)
        scores = ", ".join(f"{score:.3f}" for score in frame.boxes["score"])
        pictures.append(
            _Picture(_data_uri(image), frame.index, f"face scores {scores}", image.width, image.height)
        )
    return tuple(pictures)


def _data_uri(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _facts(video: Row) -> tuple[str, ...]:
    frames = int(video["frames_decoded"])
    facts = [
        "fake" if video["label"] else "real",
        video["split"] or "no split",
        f"{int(video['width'])}×{int(video['height'])}",
        counted(int(frames), "frame"),
        f"a face in {video['frames_with_face'] / frames:.0%}",
    ]
    if video["multiple_faces"]:
        facts.append(f"several faces in {video['frames_multi_face'] / frames:.0%}")
    if video["status"] != "ok":
        facts.append(f"{video['status']}: {video['error']}")
    if video["boxes_from"]:
        facts.append(f"boxes of {video['boxes_from']}")
    return tuple(facts)


def _counts(videos: pd.DataFrame) -> list[tuple[str, ...]]:
    """Returns method, videos, ok, other statuses, with several faces, frames, share with a face."""
    rows = []
    for method, own in videos.groupby("method"):
        done = own[own["status"].notna()]
        frames = int(done["frames_decoded"].sum())
        share = f"{done['frames_with_face'].sum() / frames:.1%}" if frames else "–"
        ok, flagged = int((done["status"] == "ok").sum()), int(done["multiple_faces"].astype(bool).sum())
        numbers = (len(own), ok, len(done) - ok, len(own) - len(done), flagged, frames)
        rows.append((str(method), *map(str, numbers), share))
    return rows
