"""Data sets as they lie on disk: one module each, from a tree of files to video records, without decoding.

A layout module has two functions: `matches(root) -> bool` and `read(root) -> Listing`.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ffpp_prep.errors import UserError
from ffpp_prep.layouts import celebdf, dfdc, ffpp, folder, table
from ffpp_prep.layouts.record import REAL_METHOD, VIDEO_SUFFIXES, Listing, Refused, VideoRecord

__all__ = ["LAYOUTS", "REAL_METHOD", "Listing", "Refused", "VideoRecord", "list_videos"]

# In this order `auto` tries them: DFDC's only mark is a metadata.json, which other folders may hold too.
LAYOUTS: tuple[ModuleType, ...] = (table, ffpp, celebdf, folder, dfdc)


def layout_names() -> list[str]:
    """The names that `--layout` takes, besides `auto`."""
    return [module.__name__.rsplit(".", 1)[-1] for module in LAYOUTS]


def list_videos(root: Path, layout: str = "auto") -> Listing:
    """Lists the videos below `root` (or in the table `root`), sorted by `video_id`, without opening them.

    Args:
        root: a data set's folder, or a CSV or Parquet table.
        layout: `auto` or one of `layout_names()`.

    Raises:
        UserError: `root` is missing, empty, or of no known layout.
    """
    if not root.exists():
        raise UserError(f"{root}: no such folder or table")
    modules = dict(zip(layout_names(), LAYOUTS, strict=True))
    if layout != "auto" and layout not in modules:
        raise UserError(f"--layout {layout}: unknown; allowed are auto, {', '.join(modules)}")
    chosen = modules.get(layout) or next((module for module in LAYOUTS if module.matches(root)), None)
    if chosen is None:
        raise UserError(f"{root}: no known layout found (looked for {', '.join(modules)}); {_advice(root)}")
    listing: Listing = chosen.read(root)
    # File systems allow names that no table can hold.
    unfit = [
        Refused("", ascii(v.path), "its name isn't UTF-8; rename it")
        for v in listing.videos
        if not _is_utf8(v.path)
    ]
    videos = sorted((v for v in listing.videos if _is_utf8(v.path)), key=lambda v: v.video_id)
    if not videos:
        whose = " whose names are UTF-8" if unfit else ""
        raise UserError(f"{root}: no videos found for layout {chosen.__name__.rsplit('.', 1)[-1]}{whose}")
    return Listing(tuple(videos), listing.notes, (*listing.refused, *unfit))


def _advice(root: Path) -> str:
    """What to give instead."""
    if root.is_file() and root.suffix.lower() in VIDEO_SUFFIXES:
        return "single videos are scored by  dfd-train predict, not prepared"
    whole = folder.set_around(root)
    if whole:
        return f"this lies in a folder with real/ and fake/, so give that one:  {whole}"
    return "give a folder with real/ and fake/, or a CSV table with path and label"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
