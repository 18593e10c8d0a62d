"""Data sets as they lie on disk: one module each, from the names of files to video records, without decoding.

A layout module has two functions, `matches(tree) -> bool` and `read(tree) -> Listing`, and `PLACES`, which says where
it looks: a video elsewhere is "not PLACES". What `read` leaves of the tree is refused with a reason, for all alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from ffpp_prep.datasets.layouts import (
    avdeepfake1m,
    celebdf,
    deeperforensics,
    deepfake_eval_2024,
    deepfakebench,
    dfdc,
    dfdc_preview,
    fakeavceleb,
    ffiw,
    ffpp,
    ffpp_kaggle,
    folder,
    kodf,
    lavdf,
    table,
    uadfv,
    wilddeepfake,
)
from ffpp_prep.datasets.layouts.left_out import account, by_reason, once, without_twins
from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import VOICE_ONLY
from ffpp_prep.datasets.layouts.pictures import PICTURES, with_pictures
from ffpp_prep.datasets.layouts.table import TableWords
from ffpp_prep.datasets.layouts.table_file import SUFFIXES
from ffpp_prep.datasets.layouts.tree import VIDEO_SUFFIXES, Tree, beside, read_tree
from ffpp_prep.datasets.people import person_name
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import VideoRecord

__all__ = [
    "LAYOUTS",
    "PICTURES",
    "Listing",
    "RefusedEntry",
    "TableWords",
    "by_reason",
    "list_videos",
]

# In this order `auto` tries them: those with marks of their own first; real/ and fake/ can stand in any set, and the
# only mark of DFDC's training parts is a metadata.json, which other folders may hold too.
LAYOUTS: tuple[ModuleType, ...] = (
    table,
    deepfakebench,
    wilddeepfake,
    ffpp,
    celebdf,
    deeperforensics,
    dfdc_preview,
    fakeavceleb,
    kodf,
    lavdf,
    avdeepfake1m,
    deepfake_eval_2024,
    ffiw,
    uadfv,
    ffpp_kaggle,
    folder,
    dfdc,
)


def layout_names() -> list[str]:
    """Returns the names that `--layout` takes, besides `auto`."""
    return [module.__name__.rsplit(".", 1)[-1] for module in LAYOUTS]


def list_videos(
    root: Path,
    layout: str = "auto",
    words: TableWords | None = None,
    apart: Iterable[Path] = (),
    altered_voice: bool = False,
    pictures: str = "auto",
) -> Listing:
    """Lists the videos below `root` (or in the table `root`), sorted by `video_id`, without opening them.

    Args:
        root: a data set's folder, or a CSV or Parquet table.
        layout: `auto` or one of `layout_names()`.
        words: what a table's columns and labels mean, where it says it in words of its own.
        apart: files and folders that are none of the data set's, such as WORK.
        altered_voice: take videos whose picture is real and whose voice was altered, as real.
        pictures: which pictures are videos, see `with_pictures`.

    Raises:
        UserError: `root` is missing, empty, or of no known layout.
    """
    if not root.exists():
        raise UserError(f"{root}: no such folder or table")
    modules = dict(zip(layout_names(), LAYOUTS, strict=True))
    if layout != "auto" and layout not in modules:
        raise UserError(f"layout={layout}: unknown; allowed are auto, {', '.join(modules)}")
    tree, notes, unread = with_pictures(read_tree(root, apart), pictures)
    chosen = modules.get(layout) or next((module for module in LAYOUTS if module.matches(tree)), None)
    if chosen is None:
        if root.is_file():
            raise UserError(f"{root}: {_instead_of(root)}")
        raise UserError(f"{root}: no known layout found (looked for {', '.join(modules)}); {_advice(root)}")
    if chosen is table:
        listing = table.read(tree, words or TableWords())
        tree = beside({str(Path(v.path).parent) for v in listing.videos}, tree.root)
    elif words is not None and words != TableWords():
        raise UserError(f"{root} is read as layout {_name(chosen)}: --columns and --labels are for tables")
    else:
        listing = without_twins(tree, once(_with_voices(tree, chosen.read(tree), altered_voice)))
    listing = account(tree, replace(listing, reasons={**listing.reasons, **unread}), chosen.PLACES)
    # File systems allow names that no table can hold.
    unfit = [
        RefusedEntry("", ascii(v.path), "its name isn't UTF-8; rename it")
        for v in listing.videos
        if not _is_utf8(v.path)
    ]
    fit = (v for v in listing.videos if _is_utf8(v.path))
    videos = sorted(map(_with_plain_people, fit), key=lambda v: v.video_id)
    refused = (*listing.refused, *unfit)
    if not videos:
        raise UserError(f"{root}: no videos found for layout {_name(chosen)}{_but(refused)}")
    return replace(listing, videos=tuple(videos), notes=(*notes, *listing.notes), refused=refused)


def _with_voices(tree: Tree, listing: Listing, taken: bool) -> Listing:
    """Returns videos of which only the voice was altered: real ones, or refused with that reason."""
    if taken:
        return replace(listing, videos=(*listing.videos, *listing.voices), voices=())
    reasons = {v.video_id: VOICE_ONLY for v in listing.voices}
    return replace(listing, reasons={**listing.reasons, **reasons})


def _with_plain_people(video: VideoRecord) -> VideoRecord:
    target, source = person_name(video.target_id), person_name(video.source_id)
    if (target, source) == (video.target_id, video.source_id):
        return video
    return replace(video, target_id=target, source_id=source)


def _name(module: ModuleType) -> str:
    return module.__name__.rsplit(".", 1)[-1]


def _but(refused: Iterable[RefusedEntry]) -> str:
    """Returns what there is instead of videos, for the end of a message."""
    reasons = [f"{len(entries)} {reason}" for reason, entries in by_reason(refused)]
    return f"; not taken: {'; '.join(reasons[:3])}" if reasons else ""


def _instead_of(file: Path) -> str:
    """Returns what to give instead of a file that is no table."""
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return "single videos are scored by  dfd-train predict, not prepared"
    return f"no table; give a data set's folder, or a table that ends in {', '.join(SUFFIXES)}"


def _advice(root: Path) -> str:
    """Returns what to give instead."""
    whole = folder.set_around(root)
    if whole:
        return f"this is in a folder with real/ and fake/, so give that one:  {whole}"
    return "give a folder with real/ and fake/, or a CSV table with path and label"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
