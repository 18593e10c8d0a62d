"""Kaggle DFDC: parts `dfdc_train_part_N/`, each with videos and a metadata.json, at any depth, and its test set.

{"x.mp4": {"label": "REAL" | "FAKE", "split": "train", "original": "y.mp4"}, ...}

The file is input from outside: only plain names of files in the part's own folder are taken from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ffpp_prep.datasets.layouts import dfdc_test
from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import read_json, without_ending
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.text.units import counted

PLACES = "listed by a metadata.json or labels.csv"
LABELS = {"REAL": 0, "FAKE": 1}
METADATA = "metadata.json"
NOT_LISTED = "its folder's metadata.json doesn't list it"
NO_METADATA = "no metadata.json in its folder, so whether it is real or fake isn't known"
OF_TEST = "the test set's lists don't name it"
NOT_THERE = "not on disk; its row stays, and boxes will record it as open_failed"


@dataclass(frozen=True)
class _Part:
    folder: str  # relative to the root; "" for the root itself
    name: str
    metadata: str


@dataclass(frozen=True)
class _Entry:
    part: _Part
    name: str
    label: int
    original: str  # name of the real video; "" if unknown or real
    video_id: str


def matches(tree: Tree) -> bool:
    """Returns whether the root is a DFDC part, parts lie below it, or its test set does."""
    return bool(_parts(tree) or dfdc_test.lists(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos that the parts' metadata.json and the test set's lists name.

    Names that leave the part's folder are left out.

    Raises:
        UserError: a metadata.json isn't a JSON object, or the test set's lists can't be read or disagree.
    """
    parts, test = _read_parts(tree), dfdc_test.read(tree)
    return Listing(
        (*parts.videos, *test.videos),
        (*parts.notes, *test.notes),
        (*parts.refused, *test.refused),
        parts.used | test.used | {v.video_id for v in test.videos},
        parts.reasons,
    )


def _read_parts(tree: Tree) -> Listing:
    parts = _parts(tree)
    present = set(tree.videos)
    deeper = _below(tree, parts)
    entries: list[_Entry] = []
    notes: list[str] = []
    refused: list[RefusedEntry] = []
    for part in parts:
        named = [_found(e, present, deeper) for e in _entries(tree, part, refused)]
        entries += named
        missing = [e for e in named if e.video_id not in present]
        if missing:
            notes.append(
                f"{part.name}: {counted(len(missing), 'video')} of metadata.json not on disk; boxes will record "
                "open_failed"
            )
            refused += [RefusedEntry(part.metadata, ascii(e.name), NOT_THERE) for e in missing]
    elsewhere = {e.name: e for e in entries if not e.label}  # an original can lie in another part
    real = {(e.part, e.name): e for e in entries if not e.label}
    videos = []
    for e in entries:
        home = real.get((e.part, e.original), elsewhere.get(e.original))
        videos.append(
            VideoRecord(
                video_id=e.video_id,
                path=str(tree.path(e.video_id)),
                dataset="dfdc",
                method="DFDC" if e.label else REAL_METHOD,
                label=e.label,
                original_id=home.video_id if home else "",
                group=f"{(home or e).part.name}/{e.original or e.name}",
            )
        )
    orphans = sum(bool(v.label and not v.original_id) for v in videos)
    if orphans:
        notes.append(
            f"{counted(orphans, 'fake')} without an original in the parts on disk: can be evaluated but not paired"
        )
    told = {f"{r.where.rpartition('/')[0]}/{r.entry}".lstrip("/") for r in refused}
    used = {part.metadata for part in parts} | {name for name in tree.videos if _told(name) in told}
    folders = {part.folder for part in parts}
    reasons = {
        name: NOT_LISTED if name.rpartition("/")[0] in folders else NO_METADATA for name in tree.videos
    }
    tests = tuple(f"{name.rpartition('/')[0]}/".lstrip("/") for name in dfdc_test.lists(tree))
    reasons |= {name: OF_TEST for name in tree.videos if tests and name.startswith(tests)}
    return Listing(tuple(videos), tuple(notes), tuple(refused), frozenset(used), reasons)


def _below(tree: Tree, parts: list[_Part]) -> dict[tuple[str, str], list[str]]:
    """Returns the videos in folders without a metadata.json of their own, by the folder above that has one
    and their name in small letters, without its ending.
    """
    folders = {part.folder for part in parts}
    found: dict[tuple[str, str], list[str]] = {}
    for video in tree.videos:
        folder, _, name = video.rpartition("/")
        while folder and folder not in folders:
            folder = folder.rpartition("/")[0]
        found.setdefault((folder, without_ending(name).casefold()), []).append(video)
    return found


def _found(entry: _Entry, present: set[str], deeper: dict[tuple[str, str], list[str]]) -> _Entry:
    """Returns the entry with its file: where that isn't in the part's own folder, the only one of its name there or
    below, whatever its capitals and its ending; a folder of frames has none.
    """
    below = deeper.get((entry.part.folder, without_ending(entry.name).casefold()), [])
    return entry if entry.video_id in present or len(below) != 1 else replace(entry, video_id=below[0])


def _told(video_id: str) -> str:
    """Returns a video's name as `read` finds it among what was refused."""
    folder, _, name = video_id.rpartition("/")
    return f"{folder}/{name!a}".lstrip("/")


def _parts(tree: Tree) -> list[_Part]:
    found, tests = [], set(dfdc_test.lists(tree))
    for name in tree.others:
        folder, _, last = name.rpartition("/")
        if last.casefold() == METADATA and name not in tests:
            found.append(_Part(folder, folder.rpartition("/")[2] or tree.root.name, name))
    return found


def _entries(tree: Tree, part: _Part, refused: list[RefusedEntry]) -> Iterator[_Entry]:
    """Yields the videos of a part; what is no video's entry is added to `refused`."""
    content = read_json(tree, part.metadata)
    if not isinstance(content, dict):
        raise UserError(
            f"{tree.path(part.metadata)}: expected an object with one entry a video, found {type(content).__name__}"
        )
    for name, entry in sorted(content.items()):
        label = LABELS.get(str(entry.get("label")).upper()) if isinstance(entry, dict) else None
        if not _is_plain_name(name):
            refused.append(RefusedEntry(part.metadata, ascii(name), "no plain file name"))
        elif label is None:
            refused.append(RefusedEntry(part.metadata, ascii(name), "neither label REAL nor FAKE"))
        else:
            original = str(entry.get("original") or "") if label else ""
            if original and not _is_plain_name(original):
                reason = f"original {original!a} is no plain file name; the fake stays, unpaired"
                refused.append(RefusedEntry(part.metadata, ascii(name), reason))
                original = ""
            video_id = f"{part.folder}/{name}" if part.folder else name
            yield _Entry(part, name, label, original, video_id)


def _is_plain_name(name: str) -> bool:
    """Returns a file name that stays in its folder, wherever it is written: no separator, no drive, no
    control character.
    """
    return (
        0 < len(name.encode(errors="replace")) < 256
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("/\\:")
    )
