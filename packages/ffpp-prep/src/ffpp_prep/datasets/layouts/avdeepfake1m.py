"""AV-Deepfake1M and AV-Deepfake1M++: {train,val}_metadata.json, or one JSON beside each video (++).

Entries are {file, original, modify_type, fake_segments, …}; `file` lies below train/ or val/, and its first folder is
the person (VoxCeleb2's identity). modify_type is real, visual_modified, audio_modified or both_modified (once with a
hyphen). The authors give out no labels of their test videos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import (
    Files,
    absent_note,
    altered_note,
    entries,
    orphans_note,
    peek,
    read_json,
    segments_in,
)
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord

PLACES = "listed by train_metadata.json or val_metadata.json, nor with a JSON of its own"
LIST = re.compile(r"(.*/)?(?P<split>train|val)_metadata\.json", re.IGNORECASE)
KINDS = {"real": 0, "visual_modified": 1, "both_modified": 1, "audio_modified": 0}
TEST = re.compile(r"(.*/)?test[ab]?/", re.IGNORECASE)
UNLABELLED = "a test video, whose label its authors don't give out"
PERSON = re.compile(r"id\d+")


def matches(tree: Tree) -> bool:
    """Returns whether one of its lists, or a JSON beside a video, speaks of modify_type."""
    return any('"modify_type"' in peek(tree, name) for name in (*_lists(tree), *_beside(tree)[:3]))


def read(tree: Tree) -> Listing:
    """Lists the videos whose labels are known. Raises: UserError: a list can't be read."""
    files = Files(tree)
    refused: list[RefusedEntry] = []
    absent: list[str] = []
    videos: list[VideoRecord] = []
    voices: list[VideoRecord] = []
    lists, beside = _lists(tree), [] if _lists(tree) else _beside(tree)
    listed = 0
    for entry, home, name in _entries(tree, lists, beside, refused):
        listed += 1
        kind = str(entry.get("modify_type")).replace("-", "_").casefold()
        if kind not in KINDS:
            reason = f"modify_type must be one of {', '.join(KINDS)}"
            refused.append(RefusedEntry(name, ascii(entry["file"])[:200], reason))
            continue
        video_id = files.find(entry["file"], home)
        if not video_id:
            absent.append(entry["file"])
            continue
        try:
            # where both are altered, the voice may be at other times than the picture
            segments = segments_in(entry, "visual_fake_segments", "fake_segments") if KINDS[kind] else ""
        except UserError as error:
            refused.append(RefusedEntry(name, ascii(entry["file"])[:200], str(error)))
            continue
        original = str(entry.get("original") or "")
        video = VideoRecord(
            video_id=video_id,
            path=str(tree.path(video_id)),
            dataset="avdeepfake1m",
            method=kind if KINDS[kind] else REAL_METHOD,
            label=KINDS[kind],
            split=split_of(home.rpartition("/")[2]) or split_of(str(entry.get("split") or "")) or "",
            original_id=files.find(original, home) if KINDS[kind] and original else "",
            target_id=_person(entry["file"]),
            fake_segments=segments,
        )
        (voices if kind == "audio_modified" else videos).append(video)
    notes = absent_note("the lists", absent, listed) + orphans_note(videos) + altered_note(videos)
    reasons = {name: UNLABELLED for name in tree.videos if TEST.match(name)}
    used = frozenset((*lists, *beside))
    return Listing(tuple(videos), tuple(notes), tuple(refused), used, reasons, tuple(voices))


def _entries(
    tree: Tree, lists: list[str], beside: list[str], refused: list[RefusedEntry]
) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """Yields each entry, the folder that its `file` is relative to, and where it stands."""
    for name in lists:
        match = LIST.fullmatch(name)
        home = f"{match[1] or ''}{match['split']}" if match else ""
        for entry in entries(tree, name, refused):
            yield entry, home, name
    for name in beside:
        for entry in _own(tree, name, refused):
            folder, _, last = name.rpartition("/")
            own = f"{folder}/{last.rpartition('.')[0]}.mp4".lstrip("/")
            split = next((part for part in folder.split("/") if split_of(part)), "")
            home = f"{folder.partition(f'{split}/')[0]}{split}" if split else ""
            yield {**entry, "file": own.removeprefix(f"{home}/")}, home, name


def _own(tree: Tree, name: str, refused: list[RefusedEntry]) -> Iterator[Mapping[str, Any]]:
    """Yields what the JSON beside a video says of it; it need not name the file."""
    content = read_json(tree, name)
    for entry in content if isinstance(content, list) else [content]:
        if isinstance(entry, Mapping) and "modify_type" in entry:
            yield entry
        else:
            refused.append(RefusedEntry(name, ascii(entry)[:200], "no object with a modify_type"))


def _lists(tree: Tree) -> list[str]:
    return [name for name in tree.others if LIST.fullmatch(name)]


def _beside(tree: Tree) -> list[str]:
    """Returns the JSON files that stand beside a video of their name."""
    stems = {name.rpartition(".")[0] for name in tree.videos}
    return [name for name in tree.others if name.endswith(".json") and name.rpartition(".")[0] in stems]


def _person(file: str) -> str:
    return next((part for part in file.replace("\\", "/").split("/") if PERSON.fullmatch(part)), "")
