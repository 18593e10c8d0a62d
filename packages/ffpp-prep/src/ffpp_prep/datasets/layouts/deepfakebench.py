"""DeepfakeBench and DF40: folders of frames, and JSON lists of them: set -> label -> split -> video -> frames.

FaceForensics++'s have the compression between split and video; DFDC's `val` is one entry by itself. Their paths may
have backslashes and begin above what is on the disk (`deepfakes_detection_datasets/…`). The JSON lie beside `rgb/`, in
`preprocessing/dataset_json/`. Videos repeat: in the JSON of each subset, and in all splits where a set only tests.

DF40's picture sets list each picture of a folder as a video of one frame. FaceForensics++'s, DeepFakeDetection's and
Celeb-DF's videos are told by their folders, whatever a list calls them: DF40's call them `simswap_Real`.

Facts: SCLBD/DeepfakeBench, `preprocessing/rearrange.py` and its data sets' JSON; YZY-stack/DF40's README.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ffpp_prep.datasets.layouts.celebdf import FAKE, PARTS, STRANGERS, TALKING
from ffpp_prep.datasets.layouts.ffpp import COMPRESSIONS, DFD, DFD_PAIR, PAIR
from ffpp_prep.datasets.layouts.ffpp import METHODS as FFPP_METHODS
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
SEQUENCES = re.compile(r"(?:^|/)(?:original_sequences|manipulated_sequences)/([^/]+)/", re.IGNORECASE)
REAL = re.compile(r"(?:.*[^a-z])?real", re.IGNORECASE)  # whichfaceisreal is a method


@dataclass
class _Listed:
    """One video as the lists name it: its folder, its frame if that is the only one, and what each list says of it."""

    folder: str
    frame: str
    label_name: str
    compression: str
    labels: set[int] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)


def matches(tree: Tree) -> bool:
    """Returns whether a JSON of this form lies in the tree."""
    return bool(_lists(tree))


def read(tree: Tree) -> Listing:
    """Lists the videos that the JSON name and the disk has, each once."""
    lists = _lists(tree)
    refused: list[RefusedEntry] = []
    entries = [entry for name in lists for entry in _entries(read_json(tree, name), name, refused)]
    flat = _flat(entries)
    listed: dict[str, _Listed] = {}
    for entry in entries:
        path = f"{entry.folder}/{entry.frame}" if entry.folder in flat else entry.folder
        seen = listed.setdefault(path, entry)
        seen.labels |= entry.labels
        seen.splits |= entry.splits
    files = Files(tree)
    videos: dict[str, VideoRecord] = {}
    absent: list[str] = []
    everywhere = 0
    used = set(lists)
    for path, entry in listed.items():
        video_id = _on_disk(files, path)
        folder = _on_disk(files, entry.folder) if not video_id and path != entry.folder else ""
        if (
            folder and tree.path(f"{folder}/{entry.frame}").exists()
        ):  # numbered pictures, taken for one video's
            video_id = f"{folder}/{entry.frame}"
            used.add(folder)
        if not video_id:
            absent.append(path)
            continue
        if len(entry.labels) > 1:
            refused.append(RefusedEntry(lists[0], ascii(path)[:200], "listed as real and as fake"))
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
    return Listing(tuple(paired), tuple(notes), tuple(refused), frozenset(used))


def _flat(entries: Iterable[_Listed]) -> set[str]:
    """Returns the folders of which several pictures are listed, each as a video of its own."""
    frames: dict[str, set[str]] = {}
    for entry in entries:
        frames.setdefault(entry.folder, set()).add(entry.frame)
    return {folder for folder, found in frames.items() if len(found) > 1 and "" not in found}


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
                    frames = entry["frames"]
                    frame = frames[0].replace("\\", "/").rpartition("/")[2] if len(frames) == 1 else ""
                    yield _Listed(folder, frame, label_name, compression, {_label(label_name)}, {split})


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
    """Returns 1 for a fake: DeepfakeBench's labels end in the word `real` where they mean that."""
    return int(not REAL.fullmatch(name))


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
    dataset = _dataset(video_id, entry.label_name)
    target, source, _ = _people(dataset, video_id, label)
    folders = video_id.split("/")
    compression = entry.compression or next(
        (COMPRESSIONS[part] for part in folders if part in COMPRESSIONS), ""
    )
    return VideoRecord(
        video_id=video_id,
        path=str(tree.path(video_id)),
        dataset=dataset,
        method=_method(entry.label_name) if label else REAL_METHOD,
        label=label,
        compression=compression,
        split=next(iter(entry.splits)) if len(entry.splits) == 1 else "test",
        source_id=source,
        target_id=target,
    )


def _dataset(video_id: str, label_name: str) -> str:
    """Returns whose video it is, by its folders or else by its label; `deepfakebench` if that isn't known."""
    sequences = SEQUENCES.search(video_id)
    part = sequences[1].casefold() if sequences else ""
    if part in ("actors", DFD.casefold()) or label_name.startswith("DFD_"):
        return "dfd"
    if part in FFPP_METHODS or label_name in FFPP:
        return "ffpp"
    return "celebdf" if _celebdf_part(video_id) else "deepfakebench"


def _celebdf_part(video_id: str) -> str:
    return next((PARTS[part] for part in video_id.casefold().split("/") if part in PARTS), "")


def _people(dataset: str, video_id: str, label: int) -> tuple[str, str, str]:
    """Returns target and source of a video, and what the name of its original is, or of a real one its own."""
    name = PurePosixPath(video_id).name
    if dataset == "ffpp":
        pair = PAIR.fullmatch(name) if label else None
        return (pair["target"], pair["source"], pair["target"]) if pair else ("" if label else name, "", name)
    if dataset == "dfd":
        pair = DFD_PAIR.fullmatch(name) if label else None
        if pair:
            return pair["target"], pair["source"], f"{pair['target']}__{pair['scene']}"
        return "" if label else name.partition("__")[0], "", name
    if dataset == "celebdf":
        pair = FAKE.fullmatch(name) or TALKING.fullmatch(name) if label else None
        if pair:
            return pair["target"], pair.groupdict().get("source", ""), f"{pair['target']}_{pair['clip']}"
        stranger = _celebdf_part(video_id) == STRANGERS
        return "" if label else f"youtube-{name}" if stranger else name.partition("_")[0], "", name
    return "", "", name


def _method(label_name: str) -> str:
    return METHODS.get(label_name) or re.sub(r"[_-]?fake$", "", label_name, flags=re.IGNORECASE) or "fake"


def _paired(videos: Mapping[str, VideoRecord]) -> list[VideoRecord]:
    """Returns the fakes with their originals of the same data set and compression."""

    def key(video: VideoRecord) -> tuple[str, str, str]:
        return video.dataset, video.compression, _people(video.dataset, video.video_id, video.label)[2]

    originals = {key(v): v.video_id for v in videos.values() if v.target_id and not v.label}
    return [
        replace(v, original_id=originals.get(key(v), "")) if v.label and v.target_id else v
        for v in videos.values()
    ]
