"""Files that are the same, byte for byte, under several names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfd_train.predict.result import Result


@dataclass(frozen=True)
class Copy:
    """What has the same bytes as a file."""

    folder: str
    """of the first other one by name"""
    file: str
    """its name"""
    others: int
    """how many there are"""

    @property
    def said(self) -> str:
        """What a row says of it."""
        return f"{self.file}{f' and {self.others - 1:,} more' if self.others > 1 else ''}"


def copies(found: Sequence[tuple[str, Result]]) -> Mapping[str, Copy]:
    """Returns what has the same bytes as a file, by its folder; only files that aren't unique are in it.

    found: folders of files that were scored, and their results. Answers that don't hold a hash are left out.
    """
    alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for folder, result in found:
        if result.evidence is not None and result.evidence.file_sha256:
            alike[result.evidence.file_sha256].append((folder, result.file))
    several = [files for files in alike.values() if len(files) > 1]
    return {
        folder: Copy(*files[0 if number else 1], len(files) - 1)
        for files in several
        for number, (folder, _) in enumerate(files)
    }
