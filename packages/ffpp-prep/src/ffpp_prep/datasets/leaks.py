"""Whether what a model trains on also stands in what it is validated or tested on: the one place that looks.

`check-splits` asks it about a work folder, `dfd-train run` before it trains, `dfd-train evaluate` and `predict` about
another set's videos beside those of training. What counts as shared is the same for all of them: see KINDS.
People and groups are told apart by data set; files and pictures are compared across all.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from ffpp_prep.datasets.alike import look_alikes
from ffpp_prep.datasets.copies import same_content
from ffpp_prep.datasets.people import ROLES, people, person_key
from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.joined import join_videos, set_names
from ffpp_prep.format.prepared_videos import with_likeness
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.text.units import counted
from ffpp_prep.work.store import read_scan

__all__ = [
    "KINDS",
    "LABELS",
    "SPLITS",
    "TESTED",
    "Audit",
    "Leak",
    "Pair",
    "audit_splits",
    "audit_tested",
    "audit_videos",
    "write_pairs",
]

SPLITS = ("train", "val", "test")
TESTED = "tested"  # the side of the videos that `audit_tested` is asked about
LABELS = ("real", "fake")  # the sides of a file that is labelled both ways
KINDS: Mapping[str, str] = {
    "original": "same original in several splits",
    "group": "same group in several splits",
    "target": "same target in several splits",
    "source": "same source in several splits",
    "person": "same person in several splits",
    "content": "same content in several splits",
    "label": "one file labelled both real and fake",
    "pictures": "same pictures in several splits (encoded again, scaled, cropped or mirrored)",
}
"""what is shared, and how a person is told"""

Pair = tuple[tuple[str, str], tuple[str, str]]  # (side, video_id) of each


@dataclass(frozen=True)
class Leak:
    """One value that stands on more than one side.

    Attributes:
        kind: one of KINDS.
        value: what is shared: "dfd 01", an original's video_id, a SHA-256, or a pair of videos that look alike.
        members: the video_ids of each side that share it, sorted; sides are splits, but for `label` those of LABELS.
    """

    kind: str
    value: str
    members: dict[str, tuple[str, ...]]

    @property
    def videos(self) -> dict[str, int]:
        """How many videos each side has."""
        return {side: len(video_ids) for side, video_ids in self.members.items()}

    @property
    def pairs(self) -> int:
        """How many pairs of videos from different sides."""
        return sum(m * n for m, n in combinations(self.videos.values(), 2))

    def each_pair(self) -> Iterator[Pair]:
        """Yields every pair of videos of two different sides."""
        for (a, videos), (b, others) in combinations(self.members.items(), 2):
            for video, other in product(videos, others):
                yield (a, video), (b, other)

    def line(self) -> str:
        """Returns what is shared by which videos, in a line."""
        counts = ", ".join(f"{count} {side}" for side, count in self.videos.items())
        (side_a, a), (side_b, b) = next(self.each_pair())
        both = f"{a} ({side_a}) and {b} ({side_b})"
        return both if self.kind == "pictures" else f"{self.value}: {counts}; such as {both}"


@dataclass(frozen=True)
class Audit:
    """What an audit found, and what it could not see.

    Attributes:
        leaks: in the order of KINDS, those of most pairs first.
        videos: videos by side; `unused` ones don't count.
        without_people: data sets that name nobody, so that person leaks in them can't be seen.
        hashed: files whose content was compared; None where that was left out.
        unread: files that could not be read.
        without_pictures: videos of which boxes recorded no pictures, so that look-alikes can't be seen.
        shared_parts: parts of DFDC that stand in several splits, and with them most of their people.
    """

    leaks: tuple[Leak, ...]
    videos: dict[str, int]
    without_people: tuple[str, ...]
    hashed: int | None
    unread: int
    without_pictures: int
    shared_parts: int

    def of(self, *kinds: str) -> tuple[Leak, ...]:
        """Returns the leaks of these kinds."""
        return tuple(leak for leak in self.leaks if leak.kind in kinds)


def audit_splits(work: str | Path, content: bool = True, also: Sequence[str | Path] = ()) -> Audit:
    """Looks for everything that the splits of WORK share.

    Args:
        work: a folder with videos.parquet; without boxes, look-alikes can't be seen.
        content: also compare files of equal size, which reads them.
        also: further such folders, whose videos train and test together with those of WORK.

    Raises:
        UserError: no scan, or no video of it has a split.
    """
    tables = []
    for folder in map(Path, (work, *also)):
        videos = read_scan(folder)
        used = videos[videos["split"].isin(SPLITS)]
        if used.empty:
            raise UserError(
                f"{folder}: of {counted(len(videos), 'video')} none is in train, val or test: nothing to audit"
            )
        tables.append(with_likeness(folder, used))
    if not also:
        return audit_videos(tables[0], content)
    names = set_names([Path(folder).resolve() for folder in (work, *also)])
    return audit_videos(join_videos(tables, names), content)


def audit_videos(videos: pd.DataFrame, content: bool = True) -> Audit:
    """Audits a table as `audit_splits` does: it has scan's columns, and `likeness` where it is known."""
    used = videos[videos["split"].isin(SPLITS)]
    return _audit(used.assign(side=used["split"]), SPLITS, content)


def audit_tested(trained: pd.DataFrame, tested: pd.DataFrame, content: bool = True) -> Audit:
    """Looks for everything that tested videos share with those that trained a model, or chose its checkpoint.

    Args:
        trained: one row a video: the columns of scan, and `likeness` where it is known; `split` is train or val.
        tested: likewise, of the same data set or of another; its own splits don't count. Its side is TESTED.
        content: also compare files of equal size, which reads them.
    """
    sides = (trained.assign(side=trained["split"]), tested.assign(side=TESTED))
    both = pd.concat([_with_paths(one) for one in sides], ignore_index=True)
    found = _audit(both, (*SPLITS[:2], TESTED), content)
    return replace(
        found,
        leaks=tuple(
            leak
            for leak in found.leaks
            if TESTED in leak.members or (leak.kind == "label" and _met(leak, tested))
        ),
    )


def write_pairs(leaks: Iterable[Leak], path: str | Path) -> None:
    """Writes a CSV, one row a pair: kind, value, split and video_id of the one, split and video_id of the other."""
    with whole_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("kind", "value", "split", "video_id", "other_split", "other_video_id"))
        for leak in leaks:
            pairs = ((leak.kind, leak.value, *one, *other) for one, other in leak.each_pair())
            rows.writerows(map(cell, pair) for pair in pairs)


def _audit(used: pd.DataFrame, sides: tuple[str, ...], content: bool) -> Audit:
    """Returns the audit of videos that have a `side`, one of `sides`."""
    used = used.reset_index(drop=True)
    text = {name: _text(used, name) for name in ("dataset", "group", "original_id", "original_key")}
    original = text["original_key"].where(text["original_key"] != "", text["original_id"])
    own = used["original_key"] if "original_key" in used else used["video_id"]
    original = original.where(used["label"] == 1, own)
    group = text["dataset"].map(person_key) + " " + text["group"].map(person_key)
    group = group.where(text["group"] != "", "")
    seen = people(used)
    shared = {"original": (original, original), "group": (group, text["group"])}
    for role in ROLES:
        rows = seen[seen["role"] == role]
        shared[role] = (rows["key"], rows["name"])
    shared["person"] = (seen["key"], seen["name"])
    leaks = [
        leak
        for kind, (key, name) in shared.items()
        for leak in _leaks(kind, key, name, used, used["side"], sides)
    ]
    originals = [leak.members for leak in leaks if leak.kind == "original"]
    leaks = [leak for leak in leaks if leak.kind != "group" or leak.members not in originals]
    hashed, unread = None, 0
    if content:
        label = used["label"].map(dict(enumerate(LABELS)))
        same, hashed, unread = same_content(used["path"], used["side"] + " " + label)
        leaks += _leaks("content", same, same, used, used["side"], sides)
        leaks += _leaks("label", same, same, used, label, LABELS)
        used = used.assign(content=same.reindex(used.index))
    pictures, without_pictures = _pictures(used, original.where(group == "", group))
    parts = text["group"].where(text["dataset"] == "dfdc", "").str.replace(r"/?[^/]*$", "", regex=True)
    return Audit(
        leaks=(*leaks, *pictures),
        videos={side: int((used["side"] == side).sum()) for side in sides},
        without_people=tuple(sorted(set(used["dataset"]) - set(used.loc[seen.index.unique(), "dataset"]))),
        hashed=hashed,
        unread=unread,
        without_pictures=without_pictures,
        shared_parts=int((used["side"][parts != ""].groupby(parts[parts != ""]).nunique() > 1).sum()),
    )


def _leaks(
    kind: str, key: pd.Series, name: pd.Series, used: pd.DataFrame, side: pd.Series, sides: tuple[str, ...]
) -> list[Leak]:
    """Returns the keys that stand on several sides; a row number may come twice (a person in both roles)."""
    rows = pd.DataFrame({"key": key, "name": name, "video_id": used["video_id"].loc[key.index]})
    rows["side"] = side.loc[key.index]
    rows = rows[rows["key"] != ""]
    rows = rows[rows.groupby("key")["side"].transform("nunique") > 1]
    leaks = []
    for _, shared in rows.groupby("key", sort=False):
        members = {each: tuple(sorted(set(shared.loc[shared["side"] == each, "video_id"]))) for each in sides}
        leaks.append(Leak(kind, shared["name"].iloc[0], {each: ids for each, ids in members.items() if ids}))
    return sorted(leaks, key=lambda leak: (-leak.pairs, leak.value))


def _pictures(used: pd.DataFrame, known: pd.Series) -> tuple[list[Leak], int]:
    """Returns pairs of videos of different sides that look alike, and of how many videos no pictures are recorded.

    Those of one original or one file are told as such; a fake looks like what it was made from.
    """
    recorded = used["likeness"] if "likeness" in used else pd.Series(None, used.index, object)
    lacking = recorded.isna()
    contents = [b"" if lacks else content for lacks, content in zip(lacking, recorded, strict=True)]
    numbers = [np.unique(each.astype(str), return_inverse=True)[1] for each in (used["side"], known)]
    leaks = []
    for one, other in look_alikes(contents, numbers[0], numbers[1]):
        if "content" in used and used["content"].at[one] == used["content"].at[other]:
            continue
        both = sorted((used["side"].at[row], used["video_id"].at[row]) for row in (one, other))
        members: dict[str, tuple[str, ...]] = {
            side: (video_id,) for side, video_id in sorted(both, key=lambda pair: _rank(pair[0]))
        }
        leaks.append(Leak("pictures", " and ".join(ids[0] for ids in members.values()), members))
    return leaks, int(lacking.sum())


def _rank(side: str) -> int:
    return (*SPLITS[:2], SPLITS[2], TESTED).index(side)


def _met(leak: Leak, tested: pd.DataFrame) -> bool:
    """Returns whether a tested video is among a leak's."""
    return bool(tested["video_id"].isin([each for ids in leak.members.values() for each in ids]).any())


def _with_paths(videos: pd.DataFrame) -> pd.DataFrame:
    """Returns the videos with `original_key`: an original's path, since equal video_ids of two roots are two videos."""
    path = pd.Series(videos["path"].to_numpy(object), videos["video_id"])
    path = path[~path.index.duplicated()]
    original = _text(videos, "original_id").map(path)
    return videos.assign(original_key=original.where(videos["label"] == 1, videos["path"]).fillna(""))


def _text(videos: pd.DataFrame, column: str) -> pd.Series:
    """Returns a column as text, "" for null and where it is missing."""
    if column not in videos:
        return pd.Series("", videos.index, object)
    values = videos[column].astype(object)
    return values.where(values.notna(), "").astype(str)
