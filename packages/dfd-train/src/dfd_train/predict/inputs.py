"""Which files a person means: videos and images, one by one or whole folders of them, each with a name of its own.

What is named or stands in a folder is an input, whatever it turns out to be: a link that leads nowhere, a named pipe, a
folder that can't be listed. `require_file` refuses these when their turn comes, so that each gets an answer of its own.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfd_train.errors import UserError
from ffpp_prep.machine import KINDS
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted
from ffpp_prep.video.animation import is_animated
from ffpp_prep.video.photographs import HEIC, PICTURE_ENDINGS, is_plainly_one, kind_of

log = logging.getLogger(__name__)

IMAGES = PICTURE_ENDINGS | HEIC
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".3g2"}
    | {".wmv", ".flv", ".ogv", ".ogg", ".gif", ".mxf", ".nut"}
)


READ = (IMAGES | VIDEOS) - HEIC  # endings of what can be scored
SHOWN_OTHERS = 3

LONGEST_NAME = (
    120  # bytes of a folder's name: file systems take 255, encrypted ones 143, temporary names are longer
)
WINDOWS_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
)


@dataclass(frozen=True)
class Input:
    """One file to score."""

    path: Path
    name: str
    """unique among its siblings and safe as a folder's name"""
    alias: str = ""
    """what is shown as its name and path, where that is another one: a file that is deleted once it is scored"""

    @property
    def shown_name(self) -> str:
        """The file's name for people: what steers a terminal, and bytes that are no UTF-8, are written out."""
        return _on_paper(self.alias or self.path.name)

    @property
    def shown_path(self) -> str:
        """Its path for whoever gave the command, written in the same way; it stands in no answer."""
        return _on_paper(self.alias or str(self.path))

    @property
    def source(self) -> str:
        """What tells its answer from those of files of the same name elsewhere, without naming the place."""
        return source_of(self.shown_path)

    @property
    def is_image(self) -> bool:
        """Whether its content is one picture, or nothing known under an image's name; all else is opened as a video."""
        kind = kind_of(self.path)
        if kind == "picture":
            return not is_animated(self.path)
        return kind == "heic" or (kind == "unknown" and self.path.suffix.lower() in IMAGES)


def find_inputs(paths: Iterable[Path], leave_out: Path | None = None) -> list[Input]:
    """Returns files as named, and the images and videos anywhere in named folders, by ending or first bytes, each once.

    leave_out: a folder whose content is never an input: where results are written.
    Raises: FileNotFoundError for a path that is not there, or a folder without such files.
    """
    found: dict[Path, str] = {}  # its own path -> how the person would call it
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112  # Path's raises where a folder above can't be entered
            for file in _inside(path, leave_out):
                found.setdefault(_whole(file), file.relative_to(path).as_posix())
        elif os.path.lexists(path):
            found.setdefault(_whole(path), path.name)
        else:
            raise FileNotFoundError(f"no such file or folder: {path}")
    return list(_named(found.items()))


def source_of(shown_path: str) -> str:
    """See `Input.source`."""
    return hashlib.sha256(shown_path.encode()).hexdigest()[:16]


def _on_paper(name: str) -> str:
    """Returns `printable` of a name so that different names stay different: a misleading backslash is written out."""
    return printable(re.sub(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})", r"\\x5c", name))


def require_file(path: Path) -> None:
    """Makes sure that there is a file whose bytes can be read without waiting for them.

    Raises: UserError, in one line, for a link that leads nowhere or in a circle, a folder, a pipe, a device, no right.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind == stat.S_IFREG:
            with path.open("rb"):
                return
        if kind == stat.S_IFDIR:
            os.scandir(path).close()
    except OSError as error:
        raise UserError(f"{path.name}: {_why_not(path, error)}") from None
    raise UserError(f"{path.name}: this is {KINDS.get(kind, 'no file')}, not a file")


def _why_not(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "this link leads in a circle"
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and path.is_symlink():
        return f"this link leads to {path.readlink().name}, which is not there"
    return f"it can't be read: {error.strerror}"


def _whole(path: Path) -> Path:
    """Returns the file's own path from the root; of a link that leads nowhere, or to no file, the link's."""
    resolved = Path(os.path.realpath(path))
    return resolved if os.path.isfile(resolved) else Path(os.path.abspath(path))  # noqa: PTH100, PTH113


def _inside(folder: Path, leave_out: Path | None) -> list[Path]:
    """Returns the videos and images below a folder, and the folders there that can't be listed."""
    unlisted: list[Path] = []

    def refuse(error: OSError) -> None:
        unlisted.append(Path(error.filename))

    files = sorted(
        Path(root, name)
        for root, _, names in os.walk(folder, onerror=refuse)
        for name in names
        if name[0] != "." and not (leave_out is not None and _within(Path(root, name), leave_out))
    )
    inside = [file for file in files if file.suffix.lower() in IMAGES | VIDEOS or is_plainly_one(file)]
    taken = set(inside)
    others = [_on_paper(str(file.relative_to(folder))) for file in files if file not in taken]
    names = ", ".join(others[:SHOWN_OTHERS]) + ", …" * (len(others) > SHOWN_OTHERS)
    if not inside and not unlisted:
        found = f", only {counted(len(others), 'other file')}: {names}" if others else ""
        raise FileNotFoundError(f"{folder}: no video or image in this folder{found}")
    if others:
        log.info("%s: %s skipped: %s", folder, counted(len(others), "other file"), names)
    return inside + unlisted


def _within(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def _named(found: Iterable[tuple[Path, str]]) -> Iterator[Input]:
    taken: set[str] = set()
    for path, called in found:
        plain = folder_name(called)
        name, number = plain, 1
        while same_name(name) in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(same_name(name))
        yield Input(path, name)


def folder_name(called: str) -> str:
    """Returns a folder's name for what a person calls so: letters of any script stay, what file systems
    dislike does not.

    One that is too long for a file system is cut, and told from others that begin alike by a few digits of its hash.
    """
    plain = re.sub(r"[^\w.-]+", "_", called.replace("/", "__")).strip("._") or "file"
    if plain.split(".")[0].upper() in WINDOWS_DEVICES:  # no name on Windows, with any ending
        plain = f"_{plain}"
    if len(plain.encode()) <= LONGEST_NAME:
        return plain
    mark = hashlib.sha256(os.fsencode(called)).hexdigest()[:8]
    suffix = Path(plain).suffix if len(Path(plain).suffix.encode()) <= 8 else ""
    room = LONGEST_NAME - len(f"~{mark}{suffix}")
    return f"{plain.encode()[:room].decode(errors='ignore')}~{mark}{suffix}"


def same_name(name: str) -> str:
    """Returns what is equal for names that some file system takes for one: in another case, or composed otherwise."""
    return unicodedata.normalize("NFC", name).casefold()
