"""LAV-DF: {train,dev,test}/NNNNNN.mp4 and metadata.json, a list of {file, split, original, modify_video, …}.

Its authors' README (ControlNet/LAV-DF). A fake is altered in parts, `fake_periods`; `dev` is val. metadata.min.json
holds the same rows. Where only the voice was altered, the picture is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import (
    Files,
    absent_note,
    altered_note,
    entries,
    named,
    orphans_note,
    peek,
    segments_in,
)
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "listed by LAV-DF's metadata.json"
LISTS = ("metadata.json", "metadata.min.json")


def matches(tree: Tree) -> bool:
    """Returns whether a metadata.json speaks of modify_video."""
    return bool(_lists(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos that its metadata names. Raises: UserError: it can't be read."""
    files, lists = Files(tree), _lists(tree)
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    videos: list[VideoRecord] = []
    voices: list[VideoRecord] = []
    listed = 0
    for name in lists[:1]:
        home = name.rpartition("/")[0]
        for entry in entries(tree, name, refused):
            listed += 1
            video_id = files.find(entry["file"], home)
            if not video_id:
                absent.append(entry["file"])
                continue
            try:
                picture, voice = _said(entry, "modify_video"), _said(entry, "modify_audio")
                segments = segments_in(entry, "fake_periods") if picture else ""
            except UserError as error:
                refused.append(RefusedEntry(name, ascii(entry["file"])[:200], str(error)))
                continue
            video = VideoRecord(
                video_id=video_id,
                path=str(tree.path(video_id)),
                dataset="lavdf",
                method="LAV-DF" if picture else REAL_METHOD,
                label=int(picture),
                split=split_of(str(entry.get("split") or "")) or "",
                original_id=files.find(str(entry.get("original") or ""), home) if picture else "",
                fake_segments=segments,
            )
            (voices if voice and not picture else videos).append(video)
    notes = absent_note(LISTS[0], absent, listed) + orphans_note(videos) + altered_note(videos)
    notes.append("LAV-DF doesn't say who is shown, so leaks by person can't be found")
    return Listing(tuple(videos), tuple(notes), tuple(refused), frozenset(lists), voices=tuple(voices))


def _said(entry: Mapping[str, Any], name: str) -> bool:
    """Returns what an entry says; False where it says nothing. Raises: UserError: neither true nor false."""
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}, allowed: true, false")
    return value is True


def _lists(tree: Tree) -> list[str]:
    return [name for name in named(tree, *LISTS) if '"modify_video"' in peek(tree, name)]
