"""What a layout says about a data set: its videos, and what it doesn't take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ffpp_prep.format.records import VideoRecord

__all__ = ["Listing", "RefusedEntry"]


@dataclass(frozen=True)
class RefusedEntry:
    """Something that a data set lists or holds and that isn't taken as it is: in which file or folder, what, why."""

    where: str
    entry: str  # as `ascii` writes it, whatever it holds
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a layout read.

    Attributes:
        videos: those that it takes.
        notes: one line for each thing that a user should know about them.
        refused: lines of the data set's own lists that can't be taken as they are.
        used: other files that it read, or that `videos` or `refused` speak of, relative to the root.
        reasons: why a file of the tree isn't taken, where more is known than that it lies elsewhere or is no video.
        voices: videos whose picture is real and whose voice was altered; taken as real only where that is asked for.
    """

    videos: tuple[VideoRecord, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[RefusedEntry, ...] = ()
    used: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    voices: tuple[VideoRecord, ...] = ()
