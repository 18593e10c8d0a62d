"""Shows what was detected: a contact sheet of faces, and a page of frames with boxes and scores drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import sweep, whole_file
from ffpp_prep.preview.draw import contact_sheet
from ffpp_prep.preview.page import render_page
from ffpp_prep.preview.videos import choose, look_at
from ffpp_prep.text.bars import bar
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.store import BoxStore, read_videos

__all__ = ["Preview", "write_preview"]


@dataclass(frozen=True)
class Preview:
    """The two files, and how many videos and frames they show."""

    sheet: Path
    page: Path
    videos: int
    frames: int


def write_preview(work: str | Path, videos: int = 4, output: Path | None = None) -> Preview:
    """Writes contact-sheet.png and index.html, each complete in itself.

    Frames are read from the videos, so these must still be where they were scanned.

    Args:
        work: a folder with committed boxes.
        videos: how many of each method, equally spaced over its list, and how many more that are worth a look.
        output: the folder to write to; by default WORK/preview.

    Raises:
        UserError: no boxes, or fewer than one video asked for.
    """
    work = Path(work).resolve()
    output = output or work / "preview"
    if videos < 1:
        raise UserError(f"videos={videos}: must be at least 1")
    table = read_videos(work)
    store = BoxStore(work)
    settings = store.made_with()
    sections = choose(table, videos)
    chosen = {row["video_id"]: row for section in sections for row in section.videos}
    boxes = dict(iter(store.read_rows(chosen).groupby("video_id", sort=False)))
    points = dict(iter(LandmarkStore(work).read_rows(chosen).groupby("video_id", sort=False)))
    progress = bar(chosen.items(), "preview", unit="video")
    shown = {
        video_id: look_at(row, boxes.get(video_id), settings, points.get(video_id))
        for video_id, row in progress
    }
    sweep(output)
    with whole_file(output / "contact-sheet.png") as temporary:
        title = f"Boxes in {work.name}; under each its score, in brackets if its box is interpolated"
        contact_sheet(title, sections, shown).save(temporary, "PNG")
    with whole_file(output / "index.html") as temporary:
        temporary.write_text(render_page(work, table, settings, sections, shown), encoding="utf-8")
    frames = sum(len(video.frames) for video in shown.values())
    return Preview(output / "contact-sheet.png", output / "index.html", len(shown), frames)
