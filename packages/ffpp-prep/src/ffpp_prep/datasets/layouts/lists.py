"""The lists that data sets bring along, read safely: a name in one counts only where the tree has such a file."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ffpp_prep.datasets.layouts.listing import RefusedEntry
from ffpp_prep.datasets.layouts.tree import Tree, has_video_name
from ffpp_prep.errors import UserError
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.format.segments import segments_text
from ffpp_prep.machine import content_of, reading
from ffpp_prep.text.stand_ins import stand_in
from ffpp_prep.text.units import counted

LARGEST_JSON = 1 << 30  # bytes; AV-Deepfake1M++'s list is the largest known, with some 400 MB
VOICE_ONLY = "the picture is real and only the voice was altered; --altered-voice takes it as real"
PEEK = 1 << 14  # bytes of a list that tell whose it is


@dataclass(frozen=True)
class Files:
    """The videos of a tree, found as lists name them: by path, by the end of a path or by name alone."""

    tree: Tree

    @cached_property
    def _by_path(self) -> dict[str, str]:
        return {plain(name): name for name in self.tree.videos}

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return self._grouped(str)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return self._grouped(without_ending)

    def _grouped(self, shown: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.tree.videos:
            found.setdefault(shown(plain(name)).rpartition("/")[2].casefold(), []).append(name)
        return found

    def find(self, name: str, home: str = "") -> str:
        """Returns the video that a list in `home` refers to by this name, "" if there is none or it could be several.

        A name with folders is looked for below `home`, then as the end of a path; a bare one in `home`, then anywhere.
        If none matches exactly, one that differs only in case is taken: some disks don't keep it; then one of the same
        name with another ending of a video, or without any, as a folder of its frames has it.
        """
        wanted = plain(name).replace("\\", "/").removeprefix("./")
        if exact := self._by_path.get(f"{home}/{wanted}".lstrip("/")):
            return exact
        last = wanted.rpartition("/")[2].casefold()
        shown: Callable[[str], str] = str
        same = self._by_name.get(last, [])
        if not same and last:
            shown, same = without_ending, self._by_stem.get(without_ending(last), [])
            wanted = without_ending(wanted)
        paths = {video: f"/{shown(plain(video))}" for video in same}
        ends = [video for video in same if paths[video].endswith(f"/{wanted}")] or [
            video for video in same if paths[video].casefold().endswith(f"/{wanted}".casefold())
        ]
        near = [video for video in ends if video.startswith(f"{home}/")] if home else ends
        return (near or ends)[0] if len(near or ends) == 1 else ""


def without_ending(name: str) -> str:
    """Returns a path or name without the ending of a video."""
    return name.rpartition(".")[0] if has_video_name(name.rpartition("/")[2]) else name


def plain(name: str) -> str:
    """Returns a name as all systems write it: macOS keeps letters with marks, and Korean ones, in parts."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def named(tree: Tree, *names: str) -> list[str]:
    """Returns the files of the tree, other than videos, that bear one of these names, whatever their case."""
    wanted = {name.casefold() for name in names}
    return [name for name in tree.others if plain(name).rpartition("/")[2].casefold() in wanted]


def peek(tree: Tree, name: str) -> str:
    """Returns the beginning of a list; "" for one that can't be read."""
    try:
        with reading(tree.path(name)) as file:
            return file.read(PEEK).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def read_json(tree: Tree, name: str) -> Any:
    """Returns what a JSON file of the tree holds. Raises: UserError: it can't be read."""
    path = tree.path(name)
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes; at most {LARGEST_JSON:,} are read")
        return json.loads(content_of(path))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {stand_in(path) or f'not readable as JSON ({error})'}") from error


def entries(tree: Tree, list_name: str, refused: list[RefusedEntry]) -> Iterator[Mapping[str, Any]]:
    """Yields the objects of a JSON list, or its only one; what is none is added to `refused`.

    Raises:
        UserError: it is neither.
    """
    content = read_json(tree, list_name)
    if isinstance(content, Mapping) and "file" in content:
        content = [content]
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise UserError(
            f"{tree.path(list_name)}: expected a list with one object a video, found {type(content).__name__}"
        )
    for entry in content:
        if isinstance(entry, Mapping) and isinstance(entry.get("file"), str):
            yield entry
        else:
            refused.append(RefusedEntry(list_name, ascii(entry)[:200], "no object with a file"))


def absent_note(list_name: str, absent: Sequence[str], listed: int) -> list[str]:
    """Says how many videos of a list aren't on the disk; nothing where all are."""
    if not absent:
        return []
    return [f"{list_name}: {len(absent):,} of {counted(listed, 'video')} not on disk (first: {absent[0]!a})"]


def orphans_note(videos: Sequence[Any]) -> list[str]:
    """Says how many fakes have no original on the disk."""
    count = sum(bool(video.label and not video.original_id) for video in videos)
    if not count:
        return []
    return [f"{counted(count, 'fake')} without an original on disk: can be evaluated but not paired"]


def segments_in(entry: Mapping[str, Any], *names: str) -> str:
    """Returns the times at which a fake is altered, of the first of these names that has any, as `segments_text`.

    Raises:
        UserError: they are no times.
    """
    found = next((entry[name] for name in names if entry.get(name)), ())
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise UserError(f"segment {found!r}: must be a list of two times each")
    return segments_text(found)


def altered_note(videos: Iterable[VideoRecord]) -> list[str]:
    """Says of how many fakes it is known which seconds are altered; nothing without any."""
    known = sum(bool(video.fake_segments) for video in videos)
    if not known:
        return []
    return [
        f"{counted(known, 'fake')} altered only in part (fake_segments): training uses only the altered frames, "
        "evaluation the whole video"
    ]


def stem(name: str) -> str:
    """Returns a path's last part without its ending."""
    return PurePosixPath(name).stem
