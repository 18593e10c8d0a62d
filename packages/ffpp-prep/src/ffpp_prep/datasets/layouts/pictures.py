"""Pictures in place of videos: which folders of them are one, before any layout looks at the tree.

A folder whose pictures differ by a number at the end of their names alone is one video, one with a single such picture
if it lies beside such folders; any other picture is a video of one frame. Folders in tar archives count as folders.
What is named real, fake, train, ... holds videos and is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from ffpp_prep.datasets.layouts.tree import Tree
from ffpp_prep.datasets.layouts.words import folder_words
from ffpp_prep.errors import UserError
from ffpp_prep.settings import PictureRule
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted
from ffpp_prep.video import OpenFailed
from ffpp_prep.video.archives import archived_folders, is_archive
from ffpp_prep.video.picture_names import is_numbered, is_picture

__all__ = ["PICTURES", "with_pictures"]

PICTURES: tuple[PictureRule, ...] = get_args(PictureRule)


def with_pictures(tree: Tree, how: str = "auto") -> tuple[Tree, list[str], dict[str, str]]:
    """Returns the tree with its pictures among the videos, notes on them, and why archives can't be read.

    Args:
        tree: what lies on disk.
        how: `frames` takes folders of numbered pictures, `each` every picture by itself, `auto` the first where there
            are such folders and the second else, and nothing where there are videos; `none` nothing.

    Raises:
        UserError: an unknown `how`.
    """
    if how not in PICTURES:
        raise UserError(f"pictures={how}: unknown; allowed are {', '.join(PICTURES)}")
    if how == "none" or (how == "auto" and tree.videos):
        return tree, [], {}
    archives = [name for name in tree.others if is_archive(name.rpartition("/")[2])]
    loose = _folders(tree)
    held, unread, unpacked = _archived(tree, archives, loose)
    videos: list[str] = []
    taken: set[str] = set()
    folders = frames = single = 0
    sequences = _sequences({**loose, **held}) if how != "each" else set()
    for folder, names in (*loose.items(), *held.items()):
        if folder in sequences:
            videos.append(folder)
            folders, frames = folders + 1, frames + len(names)
        elif how != "frames":
            videos += [f"{folder}/{name}".lstrip("/") for name in names]
            single += len(names)
        else:
            continue
        taken.update(f"{folder}/{name}".lstrip("/") for name in names)
    taken |= {name for name in archives if name not in unread}
    notes = []
    if folders:
        notes.append(
            f"{counted(folders, 'folder')} of numbered pictures, {counted(frames, 'frame')}, taken as videos; "
            "--pictures each takes every picture by itself"
        )
    if single:
        notes.append(
            f"{counted(single, 'picture')} taken as videos by themselves, of one frame if not animated"
        )
    if unpacked:
        notes.append(
            f"{counted(unpacked, 'folder')} of archives that lie unpacked beside them, with the same names: taken once"
        )
    notes += [f"{name} {why}" for name, why in unread.items()]
    others = tuple(name for name in tree.others if name not in taken)
    return replace(tree, videos=tuple(sorted((*tree.videos, *videos))), others=others), notes, unread


def _folders(tree: Tree) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in tree.others:
        folder, _, last = name.rpartition("/")
        if is_picture(last):
            found.setdefault(folder, []).append(last)
    return found


def _sequences(folders: Mapping[str, list[str]]) -> set[str]:
    """Returns the folders that are one video each."""
    fit = {
        folder: names
        for folder, names in folders.items()
        if folder and not _names_a_class(folder) and is_numbered(names, fewest=1)
    }
    several = {folder for folder, names in fit.items() if len(names) > 1}
    beside = {folder.rpartition("/")[0] for folder in several}
    return several | {folder for folder in fit if folder.rpartition("/")[0] in beside}


def _archived(
    tree: Tree, archives: Sequence[str], loose: Mapping[str, list[str]]
) -> tuple[Mapping[str, list[str]], dict[str, str], int]:
    """Returns the folders in these archives, by a path that goes on beyond the archive; which can't be read, and
    why; and how many folders are left out since they lie unpacked on the disk.
    """
    found: dict[str, list[str]] = {}
    unread: dict[str, str] = {}
    unpacked = 0
    for archive in _shown(archives):
        try:
            inside = archived_folders(tree.path(archive))
        except OpenFailed as error:
            why = str(error).removeprefix(f"{archive.rpartition('/')[2]}: ")
            unread[archive] = f"can't be read: {why}"
            continue
        for folder, names in inside.items():
            if any(set(names) <= set(loose.get(place, ())) for place in _unpacked_to(archive, folder)):
                unpacked += 1
            else:
                found[f"{archive}/{folder}".rstrip("/")] = names
    return found, unread, unpacked


def _unpacked_to(archive: str, folder: str) -> Iterator[str]:
    """Yields where a folder of an archive lies if that was unpacked: beside it, or in a folder of its name."""
    home, _, last = archive.rpartition("/")
    if folder:
        yield f"{home}/{folder}".lstrip("/")
    yield f"{home}/{last.partition('.')[0]}/{folder}".strip("/")


def _shown(archives: Sequence[str]) -> Iterator[str]:
    yield from bar(archives, "archives", len(archives), unit="archive", shown=len(archives) > 8)


def _names_a_class(folder: str) -> bool:
    split, label, _ = folder_words(folder.rpartition("/")[2])
    return split is not None or label is not None
