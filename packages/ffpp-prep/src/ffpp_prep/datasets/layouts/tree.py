"""Every file below a folder, by name: walked once, for all layouts to read from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ffpp_prep.text.bars import bar

# What libav opens and `dfd-train predict` takes; a test holds both to one list.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"}
    | {".wmv", ".flv", ".ogv", ".ogg", ".gif", ".mxf", ".nut"}
)
MOST_WAYS = 8  # by which links may lead to one folder; more are a web that nobody means


@dataclass(frozen=True)
class Tree:
    """The files of a data set, as POSIX paths relative to its root, sorted.

    Attributes:
        root: the data set's folder, resolved; or the table.
        videos: with a video's ending. Links are followed, data sets being spread over disks by them; a broken one
            is listed like any video, so that it gets a row and a status and doesn't just vanish.
        others: all other files, hidden ones included.
        unread: folders that can't be listed or lead in circles, and why.
    """

    root: Path
    videos: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    _links: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder with a file somewhere below it."""
        found: set[str] = set()
        for folder in {name.rpartition("/")[0] for name in (*self.videos, *self.others)}:
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return frozenset(found)

    def path(self, name: str) -> Path:
        """Returns the absolute path of a file."""
        return self.root / name

    def real_paths(self, names: Iterable[str]) -> Iterator[str]:
        """Yields where each of these files lies once links are followed."""
        folders: dict[str, str] = {}
        for name in names:
            folder, _, last = name.rpartition("/")
            if name in self._links:
                yield os.path.realpath(self.root / name)
                continue
            if folder not in folders:
                folders[folder] = os.path.realpath(self.root / folder)
            yield f"{folders[folder]}/{last}"


def read_tree(root: Path, apart: Iterable[Path] = ()) -> Tree:
    """Walks a folder; a file as root is a tree without files.

    Args:
        root: the folder, or a table.
        apart: files and folders that are none of the data set's, such as WORK.
    """
    root = root.resolve()
    if not root.is_dir():
        return Tree(root)
    outside = {str(path.resolve()) for path in apart}
    ways: dict[str, int] = {}
    videos: list[str] = []
    others: list[str] = []
    unread: list[tuple[str, str]] = []
    links: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [
        ("", ())
    ]  # a folder, and those above it with links followed
    with bar(desc="looking", unit="file", delay=2, leave=False) as progress:
        while waiting:
            folder, above = waiting.pop()
            real = os.path.realpath(root / folder)
            ways[real] = ways.get(real, 0) + 1
            if real in above or ways[real] > MOST_WAYS:
                unread.append((folder, "a link that leads in a circle"))
                continue
            try:
                with os.scandir(root / folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                unread.append((folder, f"can't be listed: {error.strerror}"))
                continue
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if outside and f"{real}/{entry.name}" in outside:
                    continue
                if _is_folder(entry):
                    waiting.append((name, (*above, real)))
                    continue
                (videos if has_video_name(entry.name) else others).append(name)
                if entry.is_symlink():
                    links.add(name)
            progress.update(len(entries))
    return Tree(root, tuple(sorted(videos)), tuple(sorted(others)), tuple(sorted(unread)), frozenset(links))


def beside(folders: Iterable[str], table: Path) -> Tree:
    """Returns the files in these folders, not below them, but the table: what it could have listed; relative
    to its folder.
    """
    base = table.parent
    videos: list[str] = []
    others: list[str] = []
    for folder in sorted(folders):
        try:
            found = [entry.name for entry in os.scandir(folder) if not _is_folder(entry)]
        except OSError:  # a table may list what isn't there: that is told row by row
            continue
        for name in found:
            whole = Path(folder, name)
            if whole == table:
                continue
            shown = whole.relative_to(base) if whole.is_relative_to(base) else whole
            (videos if has_video_name(name) else others).append(shown.as_posix())
    return Tree(base, tuple(sorted(videos)), tuple(sorted(others)))


def has_video_name(name: str) -> bool:
    """Returns whether a file's name has a video's ending and isn't hidden: macOS leaves ._x.mp4 on foreign disks."""
    ending = name[name.rfind(".") :].lower()  # for every file of a tree: a path costs ten times as much
    return ending in VIDEO_SUFFIXES and not name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
