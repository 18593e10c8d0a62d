"""WORK/faces/plan.json: which rows of which video go to which shard; it only grows.

plan-copy.json is the same: without it nobody would know what the shards hold.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import parsed_json, without_checksum, write_checked_json
from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_version
from ffpp_prep.machine import content_of
from ffpp_prep.settings import CropSettings
from ffpp_prep.work.recorded_settings import fingerprint, fingerprint_of


class PlannedSlice(NamedTuple):
    """Rows [first, stop) of a video's chosen boxes; a tuple, since DFDC has 120,000, which all commands read.

    Attributes:
        splits: with `for_training`, whose frames are chosen: those that the last of these splits asks for and the
            others, which the video was in before, don't. Scanning again may change a video's split, never this. A fake
            in train that is altered for a part of its time has its segments here too: `train 1.2-2.35`.
            Empty where frames don't depend on it, and in plans of before it was recorded.
    """

    video_id: str
    first: int
    stop: int
    splits: tuple[str, ...] = ()


Shards = Sequence[Sequence[PlannedSlice]]
Plan = tuple[CropSettings, list[tuple[PlannedSlice, ...]]]
PLAN, COPY = "plan.json", "plan-copy.json"
MISSING = "it is missing; without it nobody knows what the shards hold"

log = logging.getLogger(__name__)


def read_plan(folder: Path) -> Plan | None:
    """Returns the settings of the crops, and the slices of each shard; None where nothing is planned.

    Where plan.json is damaged or gone its copy is read.

    Raises:
        UserError: it is of another format version.
        Damaged: neither is a plan, or both are gone while there are shards: a new plan would take them for its own.
    """
    path, copy = folder / PLAN, folder / COPY
    if not path.exists() and not copy.exists():
        if holds_shards(folder):
            raise Damaged(path, MISSING, remedy_of(path))
        return None
    try:
        return read_one_plan(path)
    except (Damaged, FileNotFoundError) as error:
        if not copy.exists():
            raise
        plan = read_one_plan(copy)
        log.warning("%s: its copy is read", error if isinstance(error, Damaged) else f"{path} is missing")
        return plan


def holds_shards(folder: Path) -> bool:
    """Returns whether a shard is committed there."""
    return any(folder.glob("faces-*.json"))


def read_one_plan(path: Path) -> Plan:
    """Reads one of the plan's two files, as `read_plan` does."""
    remedy = remedy_of(path)
    content = parsed_json(content_of(path), path, remedy)
    if isinstance(content, dict):  # a later version may have other checksums
        refuse_version(path, content.get("format_version"))
    content = without_checksum(content, path, remedy)
    try:
        if content.get("fingerprint", "") not in ("", fingerprint_of(content["settings"])):
            raise ValueError("its settings don't match their fingerprint")
        shards = [tuple(_slice(entry) for entry in shard) for shard in content["shards"]]
        return CropSettings(**content["settings"]), shards
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Damaged(path, f"not a plan ({type(error).__name__}: {error})", remedy) from error


def write_plan(folder: Path, plan: Shards, settings: CropSettings) -> None:
    """Writes plan.json, and before it the copy: never is the one that counts newer."""
    content = {
        "format_version": FORMAT_VERSION,
        "settings": asdict(settings),
        "fingerprint": fingerprint(settings),
        "shards": [[[p.video_id, p.first, p.stop, *p.splits] for p in shard] for shard in plan],
    }
    for name in (COPY, PLAN):
        write_checked_json(folder / name, content)


def _slice(entry: list[Any]) -> PlannedSlice:
    video_id, first, stop, *splits = entry
    if not isinstance(video_id, str) or (splits and not all(isinstance(split, str) for split in splits)):
        raise TypeError(f"a slice is {entry}")
    if not 0 <= first < stop:
        raise ValueError(f"a slice of {video_id} is from {first} to {stop}")
    return PlannedSlice(video_id, first, stop, tuple(splits))
