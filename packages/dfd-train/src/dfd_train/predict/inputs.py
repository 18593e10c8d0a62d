"""Which files a person means: videos and images, one by one or whole folders of them, each with a name of its own."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

HEIC = frozenset({".heic", ".heif"})  # of phones; found so that the answer says why they can't be read
IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"}) | HEIC
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"}
    | {".wmv", ".flv", ".ogv", ".ogg", ".gif", ".mxf", ".nut"}
)


@dataclass(frozen=True)
class Input:
    """One file to score."""

    path: Path
    name: str
    """unique among its siblings and safe as a folder's name"""
    alias: str = ""
    """what is shown as its path, where that is another one: a file that is deleted once it is scored"""

    @property
    def shown_path(self) -> str:
        """The path that stands in its answer."""
        return self.alias or str(self.path)

    @property
    def is_image(self) -> bool:
        """Whether its ending is that of an image; all else is opened as a video."""
        return self.path.suffix.lower() in IMAGES


def find_inputs(paths: Iterable[Path], leave_out: Path | None = None) -> list[Input]:
    """Files as named, and those with an image's or a video's ending anywhere in named folders, each once.

    leave_out: a folder whose content is never an input: where results are written.
    Raises: FileNotFoundError for a path that is not there, or a folder without such files.
    """
    found: dict[Path, str] = {}  # resolved path -> how the person would call it
    for path in paths:
        if path.is_dir():
            files = [file for file in _walk(path) if leave_out is None or not _within(file, leave_out)]
            inside = [file for file in files if file.suffix.lower() in IMAGES | VIDEOS]
            if not inside:
                raise FileNotFoundError(f"{path}: no video or image in this folder")
            if others := len(files) - len(inside):
                log.info("%s: %d other file%s skipped", path, others, "s" * (others > 1))
            for file in inside:
                found.setdefault(file.resolve(), file.relative_to(path).as_posix())
        elif path.is_file():
            found.setdefault(path.resolve(), path.name)
        else:
            raise FileNotFoundError(f"no such file or folder: {path}")
    return list(_named(found))


def _walk(folder: Path) -> list[Path]:
    return sorted(Path(root, name) for root, _, names in os.walk(folder) for name in names if name[0] != ".")


def _within(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _named(found: dict[Path, str]) -> Iterator[Input]:
    taken: set[str] = set()
    for path, called in found.items():
        # letters of any script stay; what shells, browsers and file systems dislike does not
        plain = re.sub(r"[^\w.-]+", "_", called.replace("/", "__")).strip("._")[:120] or "file"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.lower())
        yield Input(path, name)
