"""DeeperForensics-1.0: source_videos/<actor>/…, manipulated_videos/<variant>/<target>_<actor>.mp4, lists/splits/*.txt.

Targets are videos of FaceForensics++, which aren't part of it; the actors' faces were put into them. Its authors take
FaceForensics++'s originals for the real part and the sources only as material; here, as in other loaders, the sources
are real videos, and a note says so. The lists name fakes, and hold for all variants.
"""

from __future__ import annotations

import re

from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.lists import stem
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import split_of
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.machine import content_of
from ffpp_prep.text.units import counted

SOURCES, FAKES = "source_videos", "manipulated_videos"
PLACES = f"in {SOURCES}/<actor>/… or {FAKES}/<variant>/"
PAIR = re.compile(r"(?P<target>\d{3})_(?P<actor>[A-Z]\d{3})", re.IGNORECASE)
LIST = re.compile(r"(.*/)?splits/(?P<split>train|val|test)\.txt", re.IGNORECASE)
REAL = "source videos count as real; the authors compare with FaceForensics++'s originals instead"


def matches(tree: Tree) -> bool:
    """Returns whether source_videos/ or manipulated_videos/ lies in the tree."""
    return any(folder.rpartition("/")[2].casefold() in (SOURCES, FAKES) for folder in tree.folders)


def read(tree: Tree) -> Listing:
    """Lists sources and fakes. Raises: UserError: a list of splits can't be read."""
    lists = [(name, match["split"]) for name in tree.others if (match := LIST.fullmatch(name))]
    splits: dict[str, str] = {}
    refused: list[RefusedEntry] = []
    for name, split in lists:
        for line in _lines(tree, name):
            if PAIR.fullmatch(stem(line)):
                splits[stem(line).casefold()] = split_of(split) or ""
            else:
                refused.append(RefusedEntry(name, ascii(line[:200]), "no line such as  000_M101.mp4"))
    videos = [video for name in tree.videos if (video := _video(tree, name, splits))]
    fakes = [video for video in videos if video.label]
    notes = [REAL] if len(fakes) < len(videos) else []
    unlisted = sum(not video.split for video in fakes)
    if fakes and not lists:
        notes.append("lists/splits/*.txt not found: the fakes have no split")
    elif unlisted:
        notes.append(f"{counted(unlisted, 'fake')} in no list of splits")
    if fakes:
        notes.append("the fakes' originals are FaceForensics++'s: the fakes can be evaluated but not paired")
    return Listing(tuple(videos), tuple(notes), tuple(refused), frozenset(name for name, _ in lists))


def _video(tree: Tree, name: str, splits: dict[str, str]) -> VideoRecord | None:
    folders = name.split("/")[:-1]
    low = [folder.casefold() for folder in folders]
    at = next((i for i, folder in enumerate(low) if folder in (SOURCES, FAKES)), None)
    if at is None or at + 1 >= len(folders):
        return None
    inside = folders[at + 1]
    if low[at] == SOURCES:
        return VideoRecord(
            video_id=name,
            path=str(tree.path(name)),
            dataset="deeperforensics",
            method=REAL_METHOD,
            label=0,
            target_id=inside,
        )
    pair = PAIR.fullmatch(stem(name))
    return VideoRecord(
        video_id=name,
        path=str(tree.path(name)),
        dataset="deeperforensics",
        method=inside,
        label=1,
        split=splits.get(stem(name).casefold(), ""),
        source_id=pair["actor"] if pair else "",
        target_id=f"ffpp-{pair['target']}" if pair else "",
    )


def _lines(tree: Tree, name: str) -> list[str]:
    path = tree.path(name)
    try:
        return [line.strip() for line in content_of(path).decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({error})") from error
