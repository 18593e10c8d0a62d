"""What a layout says about one video, and small helpers that the layouts share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REAL_METHOD = "original_sequences"  # the `method` of every real video, in every data set
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})


@dataclass(frozen=True)
class VideoRecord:
    """One video as its place in the data set describes it.

    Attributes:
        video_id: POSIX path relative to the data set's root; unique.
        path: absolute path of the file.
        dataset: ffpp, dfd, dfdc, celebdf or folder (or what a table says).
        method: the manipulation, `original_sequences` for real videos.
        compression: raw, c23, c40, or "" where the data set has none.
        label: 1 fake, 0 real.
        split: train, val, test, unused, or "" before splits are assigned.
        original_id: `video_id` of the video that a fake was made from; "" if real or not on disk.
        source_id: whose face or expression was put in; "" if unknown or real.
        target_id: whose frames they are; "" if unknown.
        mask_path: absolute path of the manipulation mask video, "" where there is none.
        group: videos that must share a split (DFDC: one part's original); "" if identities say it all.
    """

    video_id: str
    path: str
    dataset: str
    method: str
    label: int
    compression: str = ""
    split: str = ""
    original_id: str = ""
    source_id: str = ""
    target_id: str = ""
    mask_path: str = ""
    group: str = ""


@dataclass(frozen=True)
class Refused:
    """Something that a data set lists and that isn't taken from it: in which file or folder, what, and why."""

    where: str
    entry: str  # as `ascii` writes it, whatever it holds
    reason: str


@dataclass(frozen=True)
class Listing:
    """The videos of a data set, one line for each thing that a user should know about it, and what was refused."""

    videos: tuple[VideoRecord, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


def files_in(folder: Path) -> Iterator[Path]:
    """The video files directly in `folder`, sorted; nothing where there is no such folder.

    Links are followed, data sets being spread over disks by them; a broken one is listed like any video, so that
    it gets a row and a status and doesn't just vanish.
    """
    if folder.is_dir():
        yield from sorted(p for p in folder.iterdir() if _has_video_name(p.name) and not p.is_dir())


def files_below(folder: Path) -> Iterator[Path]:
    """The video files in `folder` at any depth, sorted; as `files_in`, and links that lead in circles end."""
    entered: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if _has_video_name(name))


def record_id(root: Path, path: Path) -> str:
    """`video_id` of a file: its POSIX path relative to the root."""
    return path.relative_to(root).as_posix()


def _has_video_name(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")


def _raise(error: OSError) -> None:
    raise error
