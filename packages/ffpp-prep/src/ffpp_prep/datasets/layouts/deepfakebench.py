"""DeepfakeBench and DF40: folders of frames, and JSON lists of them: set -> label -> split -> video -> frames.

FaceForensics++'s have the compression between split and video; DFDC's `val` is one entry by itself. Their paths may
have backslashes and begin above what is on the disk (`deepfakes_detection_datasets/…`). The JSON lie beside `rgb/`, in
`preprocessing/dataset_json/`. Videos repeat: in the JSON of each subset, and in all splits where a set only tests.

Facts: SCLBD/DeepfakeBench, `preprocessing/rearrange.py` and its data sets' JSON; YZY-stack/DF40's README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ffpp_prep.datasets.layouts.ffpp import COMPRESSIONS, DFD_PAIR, PAIR
from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import Files, absent_note, orphans_note, peek, read_json
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.text.units import counted

PLACES = "named by a JSON list of DeepfakeBench's form"
BEGINS = re.compile(
    r'\s*\{\s*"[^"]+"\s*:\s*\{\s*"[^"]+"\s*:\s*\{\s*"(train|val|valid|validation|test)"\s*:\s*\{',
    re.IGNORECASE,
)
METHODS = {
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
    "DFD_fake": "DeepFakeDetection",
}
FFPP = frozenset(METHODS) - {"DFD_fake"} | {"FF-real"}


@dataclass
class _Listed:
    """One video as the lists name it: its folder, and what each list says of it."""

    folder: str
    label_name: str
    compression: str
    labels: set[int] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)


def matches(tree: Tree) -> bool:
    """Returns whether a JSON of this form lies in the tree, or beside its rgb/."""
    return bool(_lists(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos that the JSON name and the disk has, each once."""
    lists = _lists(tree)
    refused: list[RefusedEntry] = []
    listed: dict[str, _Listed] = {}
    for name in lists:
        for entry in _entries(read_json(tree, name), name, refused):
            seen = listed.setdefault(entry.folder, entry)
            seen.labels |= entry.labels
            seen.splits |= entry.splits
    files = Files(tree)
    videos: dict[str, VideoRecord] = {}
    absent: list[str] = []
    everywhere = 0
    for entry in listed.values():
        video_id = _on_disk(files, entry.folder)
        if not video_id:
            absent.append(entry.folder)
            continue
        if len(entry.labels) > 1:
            refused.append(RefusedEntry(lists[0], ascii(entry.folder)[:200], "listed as real and as fake"))
            continue
        everywhere += len(entry.splits) > 1
        videos[video_id] = _video(tree, video_id, entry)
    paired = _paired(videos)
    notes = [
        *absent_note("DeepfakeBench's lists", absent, len(listed)),
        *orphans_note(paired),
    ]
    if everywhere:
        notes.append(
            f"{counted(everywhere, 'video')} listed in several splits, as its authors list test-only sets; they are "
            "taken as test"
        )
    notes.append("its pictures are face crops already, aligned: ffpp-prep boxes --faces as-is")
    return Listing(tuple(paired), tuple(notes), tuple(refused), frozenset(lists))


def _lists(tree: Tree) -> list[str]:
    return [name for name in tree.others if name.lower().endswith(".json") and BEGINS.match(peek(tree, name))]


def _entries(content: Any, list_name: str, refused: list[RefusedEntry]) -> Iterator[_Listed]:
    """Yields every video of one JSON; what is none is added to `refused`."""
    for labels in _mappings(content):
        for label_name, splits in labels.items():
            if not isinstance(splits, Mapping):
                refused.append(RefusedEntry(list_name, ascii(label_name)[:200], "no splits below this label"))
                continue
            for split_name, entries in splits.items():
                split = split_of(str(split_name))
                if not split or not isinstance(entries, Mapping):
                    refused.append(RefusedEntry(list_name, ascii(split_name)[:200], "no split with videos"))
                    continue
                for name, compression, entry in _videos(entries):
                    folder = _folder_of(entry)
                    if not folder:
                        refused.append(RefusedEntry(list_name, ascii(name)[:200], "no frames are named"))
                        continue
                    yield _Listed(folder, label_name, compression, {_label(label_name)}, {split})


def _mappings(content: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, Mapping):
        yield from (labels for labels in content.values() if isinstance(labels, Mapping))


def _videos(entries: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yields the name, compression and entry of each video of a split."""
    if "frames" in entries:  # one by itself
        yield "frames", "", entries
        return
    for name, entry in entries.items():
        if not isinstance(entry, Mapping):
            yield name, "", {}
        elif "frames" in entry or name not in COMPRESSIONS:
            yield name, "", entry
        else:
            for inner, one in entry.items():
                yield inner, COMPRESSIONS[name], one if isinstance(one, Mapping) else {}


def _folder_of(entry: Mapping[str, Any]) -> str:
    """Returns where the frames of a video lie; "" where that isn't said."""
    frames = entry.get("frames")
    if not isinstance(frames, list) or not frames or not isinstance(frames[0], str):
        return ""
    return frames[0].replace("\\", "/").rpartition("/")[0]


def _label(name: str) -> int:
    """Returns 1 for a fake: DeepfakeBench's labels end in `real` where they mean that."""
    return int(not name.casefold().endswith("real"))


def _on_disk(files: Files, folder: str) -> str:
    """Returns the video of the tree that a listed folder means: the lists' paths may begin above the tree."""
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    while parts:
        if found := files.find("/".join(parts)):
            return found
        parts = parts[1:] if len(parts) > 2 else []
    return ""


def _video(tree: Tree, video_id: str, entry: _Listed) -> VideoRecord:
    label = next(iter(entry.labels))
    name = PurePosixPath(video_id).name
    pair = (PAIR.fullmatch(name) or DFD_PAIR.fullmatch(name)) if label else None
    ffpp = entry.label_name in FFPP
    folders = video_id.split("/")
    compression = entry.compression or next(
        (COMPRESSIONS[part] for part in folders if part in COMPRESSIONS), ""
    )
    return VideoRecord(
        video_id=video_id,
        path=str(tree.path(video_id)),
        dataset="ffpp" if ffpp else "deepfakebench",
        method=_method(entry.label_name) if label else REAL_METHOD,
        label=label,
        compression=compression,
        split=next(iter(entry.splits)) if len(entry.splits) == 1 else "test",
        source_id=pair["source"] if pair and ffpp else "",
        target_id=(pair["target"] if pair else name if not label else "") if ffpp else "",
    )


def _method(label_name: str) -> str:
    return METHODS.get(label_name) or re.sub(r"[_-]?fake$", "", label_name, flags=re.IGNORECASE) or "fake"


def _paired(videos: Mapping[str, VideoRecord]) -> list[VideoRecord]:
    """Returns FaceForensics++'s fakes with their originals of the same compression."""
    originals = {
        (v.compression, v.target_id): v.video_id
        for v in videos.values()
        if v.dataset == "ffpp" and not v.label
    }
    return [
        replace(v, original_id=originals.get((v.compression, v.target_id), ""))
        if v.label and v.target_id
        else v
        for v in videos.values()
    ]
