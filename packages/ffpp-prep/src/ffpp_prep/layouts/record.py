"""What a layout says about a data set: its videos, and what it doesn't take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

REAL_METHOD = "original_sequences"  # the `method` of every real video, in every data set


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
        reasons: why a video of the tree isn't taken, where the layout knows better than that it lies elsewhere.
    """

    videos: tuple[VideoRecord, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    used: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
