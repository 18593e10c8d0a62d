"""Splits for sets whose records have none; a layout that knows its split sets `VideoRecord.split`.

FaceForensics++ and Celeb-DF have official lists. What they leave open, DeepFakeDetection and DFDC are drawn
here, seeded. A split is never a matter of one file: it follows from people or originals, so that all compressions
and all methods of an original share a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from ffpp_prep.datasets.split_files import given_actors, official_lists
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.settings import SplitSettings
from ffpp_prep.text.units import counted

__all__ = [
    "DFDC_SHARES",
    "FEWEST_PARTS",
    "FFPP_SHARES",
    "Assigned",
    "SplitSettings",
    "Splits",
    "assign",
]

FFPP_SHARES = (0.72, 0.14, 0.14)
DFDC_SHARES = (0.8, 0.1, 0.1)
FEWEST_PARTS = 3
Splits = dict[str, str]  # video_id or a person -> split


class Assigned(NamedTuple):
    """Videos with their splits, and how those came about."""

    videos: list[VideoRecord]
    notes: list[str]
    """one line for each thing to know"""
    rules: list[str]
    """those of the notes that say how a data set was divided"""


def assign(videos: Sequence[VideoRecord], settings: SplitSettings) -> Assigned:
    """Gives every video without one a split.

    Raises:
        UserError: FaceForensics++ needs its lists and there are none, or they can't be read.
    """
    rules: list[str] = []
    splits: Splits = {}
    official = False
    if ffpp := _open(videos, "ffpp"):
        lists, origin, official = official_lists(settings.folder)
        splits |= _by_pairs(ffpp, lists)
        rules.append(f"FaceForensics++ splits: {origin}; {_unused(splits, ffpp)}")
    if dfd := _open(videos, "dfd"):
        splits |= _by_original(dfd, settings.seed) if settings.dfd == "thesis" else _by_actors(dfd, settings)
        rule = "the thesis's, random over originals: actors are in several splits"
        rule = rule if settings.dfd == "thesis" else "actor-disjoint"
        rules.append(f"DeepFakeDetection splits: {rule}; {_unused(splits, dfd)}")
    if dfdc := _open(videos, "dfdc"):
        of_dfdc, note = _of_dfdc(dfdc, settings)
        splits |= of_dfdc
        rules.append(f"DFDC splits: {note}")
    if celebdf := _open(videos, "celebdf"):
        test = [v for v in videos if v.dataset == "celebdf" and v.split == "test"]
        splits |= _by_celebrities(celebdf, bool(test), settings.seed)
        rules.append(_celebdf_note(test, celebdf, splits))
    authors = {"ffpp"} if official else set()
    assigned = [
        replace(v, split=split, split_by="" if v.dataset in authors else "scan")
        if (split := splits.get(v.video_id))
        else v
        for v in videos
    ]
    notes = list(rules)
    without = sum(not v.split for v in assigned)
    if without:
        notes.append(
            f"{counted(without, 'video')} without a split: can be scored, not trained on; folders train/, val/ and "
            "test/ or a table's column split would give one"
        )
    return Assigned(assigned, notes, rules)


def _open(videos: Iterable[VideoRecord], dataset: str) -> list[VideoRecord]:
    return [v for v in videos if v.dataset == dataset and not v.split]


def _unused(splits: Splits, videos: Sequence[VideoRecord]) -> str:
    return (
        f"{sum(splits[v.video_id] == 'unused' for v in videos):,} of {counted(len(videos), 'video')} unused"
    )


def _by_pairs(videos: Iterable[VideoRecord], lists: dict[str, list[tuple[str, str]]]) -> Splits:
    pair = {frozenset(ids): name for name, pairs in lists.items() for ids in pairs}
    member = {i: name for name, pairs in lists.items() for ids in pairs for i in ids}
    return {
        v.video_id: pair.get(frozenset((v.target_id, v.source_id)), "unused")
        if v.label
        else member.get(v.target_id, "unused")
        for v in videos
    }


def _by_original(videos: Sequence[VideoRecord], seed: int) -> Splits:
    # Drawn over names, not files: an original's compressions are one original.
    names = {v.video_id: PurePosixPath(v.original_id if v.label else v.video_id).name for v in videos}
    drawn = _drawn(
        {names[v.video_id] for v in videos if not v.label}, FFPP_SHARES, np.random.default_rng(seed)
    )
    return {video_id: drawn.get(name, "unused") for video_id, name in names.items()}


def _by_actors(videos: Sequence[VideoRecord], settings: SplitSettings) -> Splits:
    actors = given_actors(settings.folder)
    return _by_people(
        videos, actors or _drawn(_people(videos), FFPP_SHARES, np.random.default_rng(settings.seed))
    )


def _by_celebrities(videos: Sequence[VideoRecord], has_test: bool, seed: int) -> Splits:
    """Returns person-disjoint training and validation; a test share only where the official list is missing."""
    shares = (0.86, 0.14, 0.0) if has_test else FFPP_SHARES
    celebrities = {person for person in _people(videos) if person.startswith("id")}
    rng = np.random.default_rng(seed)
    drawn = _drawn(celebrities, shares, rng) | _drawn(_people(videos) - celebrities, shares, rng)
    return _by_people(videos, drawn)


def _by_people(videos: Iterable[VideoRecord], drawn: Splits) -> Splits:
    """Returns the split in which all of a video's people are; between splits it is unused."""
    result = {}
    for v in videos:
        found = {drawn.get(person, "unused") for person in (v.target_id, v.source_id) if person}
        result[v.video_id] = found.pop() if len(found) == 1 else "unused"
    return result


def _of_dfdc(videos: Sequence[VideoRecord], settings: SplitSettings) -> tuple[Splits, str]:
    """Returns the splits, and by which rule; too few parts can't be held out."""
    group = {v.video_id: v.group or v.original_id or v.video_id for v in videos}
    parts: dict[str, set[str]] = {}
    for name in group.values():
        parts.setdefault(name.rpartition("/")[0], set()).add(name)
    thesis = (
        "originals are split 80/10/10 within each part, fakes follow their originals. Most people in the test set are "
        "in training too"
    )
    if settings.dfdc == "thesis":
        return _inside_parts(group, parts, settings.seed), f"the thesis's rule: {thesis}"
    if len(parts) < FEWEST_PARTS:
        few = f"only {counted(len(parts), 'part')}, too few to hold any out, so the thesis's rule applies"
        return _inside_parts(group, parts, settings.seed), f"{few}: {thesis}"
    of_part = _held_out(parts, settings.seed)
    held = {
        split: ", ".join(sorted(part for part in parts if of_part[part] == split))
        for split in ("val", "test")
    }
    note = f"whole parts held out, {held['val']} for val and {held['test']} for test"
    return {video_id: of_part[name.rpartition("/")[0]] for video_id, name in group.items()}, note


def _held_out(parts: Iterable[str], seed: int) -> Splits:
    """Returns each part's split; the order doesn't depend on which others are on disk, so that a new one moves few."""
    ordered = sorted(parts, key=lambda part: hashlib.sha256(f"{seed} {part}".encode()).digest())
    val, test = (max(1, round(share * len(ordered))) for share in DFDC_SHARES[1:])
    return {p: "val" if i < val else "test" if i < val + test else "train" for i, p in enumerate(ordered)}


def _inside_parts(group: dict[str, str], parts: dict[str, set[str]], seed: int) -> Splits:
    drawn: Splits = {}
    for part, names in sorted(parts.items()):
        # Seeded by the part's name too, so that a part's split doesn't depend on which others are on disk.
        rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(part.encode()).digest()[:4])])
        drawn |= _drawn(names, DFDC_SHARES, rng)
    return {video_id: drawn[name] for video_id, name in group.items()}


def _people(videos: Iterable[VideoRecord]) -> set[str]:
    return {person for v in videos for person in (v.target_id, v.source_id) if person}


def _drawn(names: Iterable[str], shares: tuple[float, float, float], rng: np.random.Generator) -> Splits:
    """Returns each name's split, in shares of train, val, test."""
    ordered = sorted(names)
    shuffled = [ordered[i] for i in rng.permutation(len(ordered))]
    # Validation and test get at least one each as long as three or more names are there to share.
    least = 1 if len(ordered) >= 3 else 0
    val, test = (max(least, round(share * len(ordered))) if share else 0 for share in shares[1:])
    return {n: "val" if i < val else "test" if i < val + test else "train" for i, n in enumerate(shuffled)}


def _celebdf_note(test: list[VideoRecord], others: list[VideoRecord], splits: Splits) -> str:
    if not test:
        return f"Celeb-DF splits: person-disjoint, no official test list; {_unused(splits, others)}"
    shared = _people(test) & _people(v for v in others if splits[v.video_id] != "unused")
    return (
        f"Celeb-DF splits: official test list, the rest person-disjoint between train and val; "
        f"{_unused(splits, others)}; {len(shared):,} of {len(_people(test)):,} people in the official test list are "
        "also in train or val, so results on it are not results on unseen people"
    )
