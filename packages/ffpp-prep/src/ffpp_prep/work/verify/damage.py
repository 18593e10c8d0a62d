"""What a check finds: damage, which was read and isn't what was written, and what couldn't be read at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written, and which files to remove for it to be made again.

    remove: none where it is written again from what is sound.
    """

    file: Path
    what: str
    remove: tuple[Path, ...]


@dataclass(frozen=True)
class Unread:
    """A file about which nothing is known, since it couldn't be read, and why; it may well be sound."""

    file: Path
    why: str


class Wrong(Exception):
    """What is wrong with a file."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(what)
        self.file = file


def unread(file: Path, error: OSError) -> Unread:
    """Returns what the system says of a file, or of one beside it."""
    file = Path(str(error.filename)) if error.filename else file
    if isinstance(error, IsADirectoryError):
        return Unread(file, "a folder is in its place; move it away")
    if isinstance(error, FileNotFoundError) and file.is_symlink():
        return Unread(file, "a link to what isn't there; put that back, or remove the link")
    return Unread(file, error.strerror or " ".join(str(error).split()) or type(error).__name__)
