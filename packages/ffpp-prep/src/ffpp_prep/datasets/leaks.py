"""Audits splits: whether what a model trains on also stands in what it is validated or tested on.

Five kinds, each a value that several videos share: the *original* that they show, the *target* or the *source*
person, a *person* in whichever role (an actor of DeepFakeDetection plays both), and identical *content*.
Persons are told apart by data set; content is compared across all.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ffpp_prep.datasets.people import ROLES, people
from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.work.store import read_scan

SPLITS = ("train", "val", "test")
KINDS = ("original", "target", "source", "person", "content")

Pair = tuple[tuple[str, str], tuple[str, str]]  # (split, video_id) of each


@dataclass(frozen=True)
class Leak:
    """One value that stands in more than one split.

    Attributes:
        kind: one of KINDS.
        value: what is shared: "dfd 01", an original's video_id, or a SHA-256.
        members: the video_ids of each split that share it, sorted.
    """

    kind: str
    value: str
    members: dict[str, tuple[str, ...]]

    @property
    def videos(self) -> dict[str, int]:
        """How many videos of each split."""
        return {split: len(video_ids) for split, video_ids in self.members.items()}

    @property
    def pairs(self) -> int:
        """How many pairs of videos from different splits."""
        return sum(m * n for m, n in combinations(self.videos.values(), 2))

    def each_pair(self) -> Iterator[Pair]:
        """All these pairs."""
        for (a, videos), (b, others) in combinations(self.members.items(), 2):
            for video, other in product(videos, others):
                yield (a, video), (b, other)


@dataclass(frozen=True)
class Audit:
    """What an audit found, and what it could not see.

    Attributes:
        leaks: in the order of KINDS, those of most pairs first.
        videos: videos by split; `unused` ones don't count.
        without_people: data sets that name nobody, so that person leaks in them can't be seen.
        hashed: files whose content was compared; None where that was left out.
        unread: files that could not be read.
    """

    leaks: tuple[Leak, ...]
    videos: dict[str, int]
    without_people: tuple[str, ...]
    hashed: int | None
    unread: int


def audit_splits(work: str | Path, content: bool = True) -> Audit:
    """Looks for everything that the splits of WORK share.

    Args:
        work: a folder with videos.parquet; boxes are not needed.
        content: also compare files of equal size by their SHA-256, which reads them.

    Raises:
        UserError: no scan, or no video of it has a split.
    """
    videos = read_scan(Path(work))
    used = videos[videos["split"].isin(SPLITS)]
    if used.empty:
        raise UserError(
            f"{work}: none of its {len(videos)} videos is in train, val or test: nothing to audit"
        )
    shared = dict(_shared(used))
    hashed, unread = None, 0
    if content:
        checksums, unread = _checksums(used)
        shared["content"], hashed = checksums, len(checksums)
    leaks = [leak for kind in KINDS if kind in shared for leak in _leaks(kind, shared[kind], used)]
    named = used.loc[people(used).index.unique()]
    return Audit(
        tuple(leaks),
        {name: int((used["split"] == name).sum()) for name in SPLITS},
        tuple(sorted(set(used["dataset"]) - set(named["dataset"]))),
        hashed,
        unread,
    )


def write_pairs(leaks: Iterable[Leak], path: str | Path) -> None:
    """Writes a CSV, one row a pair: kind, value, split and video_id of the one, split and video_id of the other."""
    with whole_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("kind", "value", "split", "video_id", "other_split", "other_video_id"))
        for leak in leaks:
            pairs = ((leak.kind, leak.value, *one, *other) for one, other in leak.each_pair())
            rows.writerows(map(cell, pair) for pair in pairs)


def _shared(used: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """For each kind the value that a video has, "" for none, under the video's row number."""
    original = used["group"].where(used["group"] != "", used["original_id"])
    yield "original", original.where((original != "") | (used["label"] == 1), used["video_id"])
    seen = people(used)
    for role in ROLES:
        yield role, seen.loc[seen["role"] == role, "name"]
    yield "person", seen["name"]


def _leaks(kind: str, values: pd.Series, used: pd.DataFrame) -> list[Leak]:
    """The values that stand in several splits; a row number may come twice (a person in both roles)."""
    rows = used.loc[values.index]
    videos: dict[str, dict[str, set[str]]] = {}  # value -> split -> video_ids
    for value, split, video_id in zip(values, rows["split"], rows["video_id"], strict=True):
        if value:
            videos.setdefault(value, {}).setdefault(split, set()).add(video_id)
    leaks = [
        Leak(kind, value, {name: tuple(sorted(by_split[name])) for name in SPLITS if name in by_split})
        for value, by_split in videos.items()
        if len(by_split) > 1
    ]
    return sorted(leaks, key=lambda leak: (-leak.pairs, leak.value))


def _checksums(used: pd.DataFrame) -> tuple[pd.Series, int]:
    """SHA-256 of the files that could be copies: of one size, in several splits; and how many can't be read."""
    sizes = used["path"].map(_size)
    unread = int(sizes.isna().sum())
    sizes = sizes[sizes > 0]
    several = used.loc[sizes.index].groupby(sizes)["split"].transform("nunique") > 1
    sizes = sizes[several]
    found = {}
    total = int(sizes.sum())
    with tqdm(total=total, unit="B", unit_scale=True, desc="content", disable=None if total else True) as bar:
        for row, size in sizes.items():
            try:
                with Path(used.at[row, "path"]).open("rb") as file:
                    found[row] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                unread += 1
            bar.update(int(size))
    return pd.Series(found, dtype=object), unread


def _size(path: str) -> float | None:
    try:
        return float(Path(path).stat().st_size)
    except OSError:
        return None
