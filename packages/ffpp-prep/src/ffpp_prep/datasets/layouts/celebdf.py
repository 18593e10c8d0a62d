"""Celeb-DF v1, v2 and ++: Celeb-real/, YouTube-real/, Celeb-synthesis/, List_of_testing_videos.txt.

Real videos are `id0_0000.mp4` (celebrity 0, clip 0) or `00000.mp4` (YouTube); fakes are
`id0_id1_0000.mp4`: the clip id0_0000 (target 0) with the face of celebrity 1 (source). Lines of the list are
`1 YouTube-real/00170.mp4`, where 1 means real.

Celeb-DF++ has Celeb-synthesis/{FaceSwap,FaceReenact,TalkingFace}/<method>/; talking faces are `id0_0000_test_0001.mp4`:
the clip id0_0000 with other words. One name can be a test video under one method only, so the list counts by path.

The folders may lie anywhere below the root, in any case (`Youtube-real`), and hold their videos in videos/, or
folders of frames in frames/. The list may lie above them, and say nothing of the folders between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ffpp_prep.datasets.layouts.ffpp import CONTENTS
from ffpp_prep.datasets.layouts.listing import Listing, RefusedEntry
from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.machine import content_of
from ffpp_prep.text.units import counted

CELEBRITIES, STRANGERS, FAKES = "Celeb-real", "YouTube-real", "Celeb-synthesis"
PLACES = f"in {CELEBRITIES}/, {STRANGERS}/ or {FAKES}/"
PARTS = {name.casefold(): name for name in (CELEBRITIES, STRANGERS, FAKES)}
TEST_LIST = "List_of_testing_videos.txt"
FAKE = re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_(?P<clip>\d+)")
TALKING = re.compile(r"(?P<target>id\d+)_(?P<clip>\d+)_test_\w+")
DEEPER = f"deeper than {FAKES}/<family>/<method>/x.mp4"


@dataclass(frozen=True)
class _Place:
    """A video, or what a line of the list says of one."""

    video_id: str
    home: str  # what stands above the data set's folders
    part: str
    method: str  # Celeb-DF++'s family and method, as in a path, else ""

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return PurePosixPath(self.video_id).stem

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it in a list, whatever its capitals and its ending."""
        return self.part, self.method.casefold(), self.stem.casefold()


def matches(tree: Tree) -> bool:
    """Returns whether folders of Celeb-DF lie in the tree."""
    return any(
        PARTS.get(folder.rpartition("/")[2].casefold()) in (CELEBRITIES, FAKES) for folder in tree.folders
    )


def read(tree: Tree) -> Listing:
    """Lists real and synthesised videos; those in the official test list get split `test`."""
    places = [place for name in tree.videos if (place := _place(name))]
    lists = [name for name in tree.others if PurePosixPath(name).name.casefold() == TEST_LIST.casefold()]
    refused: list[RefusedEntry] = []
    listed = {line: name for name in lists for line in _lines(tree, name, refused)}
    of_list = _found(places, listed)
    test = {place.video_id for found in of_list.values() for place in found}
    originals = {(p.home, p.stem): p.video_id for p in places if p.part == CELEBRITIES}
    videos = [_video(tree, place, place.video_id in test, originals) for place in places]
    notes = []
    if not lists:
        notes.append(f"{TEST_LIST} not found: no official test videos are known")
    absent = len(listed) - len(of_list)
    if absent:
        notes.append(f"{absent:,} of {counted(len(listed), 'official test video')} not on disk")
    unnamed = sum(bool(v.label and not v.target_id) for v in videos)
    if unnamed:
        notes.append(f"{counted(unnamed, 'synthesised video')} with a name outside the data set's pattern")
    orphans = sum(bool(v.label and v.target_id and not v.original_id) for v in videos)
    if orphans:
        notes.append(
            f"{counted(orphans, 'synthesised video')} without an original on disk: can be evaluated but not paired"
        )
    deeper = {
        name: DEEPER
        for name in tree.videos
        if _place(name) is None and FAKES.casefold() in name.casefold().split("/")[:-1]
    }
    return Listing(tuple(videos), tuple(notes), tuple(refused), frozenset(lists), deeper)


def _place(video_id: str) -> _Place | None:
    """Returns where in the data set a video lies; None for one that lies elsewhere."""
    folders = video_id.split("/")[:-1]
    if folders and folders[-1].casefold() in CONTENTS:
        folders.pop()
    for depth in (1, 3):  # how far up the part is; family and method lie between
        part = PARTS.get(folders[-depth].casefold()) if len(folders) >= depth else None
        if part and (depth == 1 or part == FAKES):
            method = "/".join(folders[len(folders) - depth + 1 :])
            return _Place(video_id, "/".join(folders[:-depth]), part, method)
    return None


def _video(tree: Tree, place: _Place, in_test: bool, originals: dict[tuple[str, str], str]) -> VideoRecord:
    home, part, method = place.home, place.part, place.method
    pair = (FAKE.fullmatch(place.stem) or TALKING.fullmatch(place.stem)) if part == FAKES else None
    if part == FAKES:
        target = pair["target"] if pair else ""
    else:
        target = place.stem.split("_")[0] if part == CELEBRITIES else f"youtube-{place.stem}"
    return VideoRecord(
        video_id=place.video_id,
        path=str(tree.path(place.video_id)),
        dataset="celebdf",
        method=(method.rpartition("/")[2] or FAKES) if part == FAKES else REAL_METHOD,
        label=int(part == FAKES),
        split="test" if in_test else "",
        original_id=originals.get((home, f"{pair['target']}_{pair['clip']}"), "") if pair else "",
        source_id=pair.groupdict().get("source", "") if pair else "",
        target_id=target,
    )


def _found(places: Iterable[_Place], listed: Mapping[_Place, str]) -> dict[_Place, list[_Place]]:
    """Returns the videos that each line means: those in the folder that it names, else in the only one below the
    list's own, or in the only one there is.
    """
    by_key: dict[tuple[str, str, str], list[_Place]] = {}
    for place in places:
        by_key.setdefault(place.key, []).append(place)
    found: dict[_Place, list[_Place]] = {}
    for line, name in listed.items():
        same = by_key.get(line.key, [])
        above = name.rpartition("/")[0]
        for fit in (
            [place for place in same if place.home == line.home],
            [place for place in same if f"{place.home}/".startswith(f"{above}/".lstrip("/"))],
            same,
        ):
            if len({place.home for place in fit}) == 1:
                found[line] = fit
                break
    return found


def _lines(tree: Tree, name: str, refused: list[RefusedEntry]) -> Iterator[_Place]:
    """Yields what the lines of a list name; lines that name no video are added to `refused`."""
    path = tree.path(name)
    try:
        lines = content_of(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as text ({error})") from error
    home = name.rpartition("/")[0]
    for line in filter(str.strip, lines):
        *_, video = line.split(maxsplit=1)
        place = _place(video.strip().replace("\\", "/"))
        if place:  # with the data set's own folder before it, where the list lies above
            yield replace(place, home="/".join(filter(None, (home, place.home))))
        else:
            refused.append(RefusedEntry(name, ascii(line[:200]), "no line such as  1 YouTube-real/00170.mp4"))
