"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written, and which files to remove for it to be made again."""

    file: Path
    what: str
    remove: tuple[Path, ...]


class Wrong(Exception):
    """What is wrong with a file."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(what)
        self.file = file
