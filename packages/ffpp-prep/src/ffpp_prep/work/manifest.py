"""What stands beside the shards in WORK/faces.

plan.json          which rows of which video go to which shard; it only grows
plan-copy.json     the same: without it nobody would know what the shards hold
faces-00000.json   one a shard: counts and checksum, the commit
manifest.json      the shards that there are, for readers
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import parsed_json, read_checked_json, without_checksum, write_checked_json
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_version
from ffpp_prep.format.shard_writer import MissingCrops, ShardSummary, shard_name
from ffpp_prep.settings import CropSettings
from ffpp_prep.work.parts import fingerprint, fingerprint_of


@dataclass(frozen=True)
class PlannedSlice:
    """Rows [first, stop) of a video's chosen boxes.

    Attributes:
        splits: with `for_training`, whose frames are chosen: those that the last of these splits asks for and the
            others, which the video was in before, don't. Scanning again may change a video's split, never this.
            Empty where frames don't depend on it, and in plans of before it was recorded.
    """

    video_id: str
    first: int
    stop: int
    splits: tuple[str, ...] = ()


Shards = Sequence[Sequence[PlannedSlice]]
Plan = tuple[CropSettings, list[tuple[PlannedSlice, ...]]]
PLAN, COPY, MANIFEST = "plan.json", "plan-copy.json", "manifest.json"

log = logging.getLogger(__name__)


def read_plan(folder: Path) -> Plan | None:
    """The settings of the crops, and the slices of each shard; None where nothing is planned.

    Where plan.json is damaged its copy is read.

    Raises:
        UserError: it is of another format version.
        Damaged: neither is a plan.
    """
    if not (folder / PLAN).exists():
        return None
    try:
        return read_one_plan(folder / PLAN)
    except Damaged as error:
        if not (folder / COPY).exists():
            raise
        plan = read_one_plan(folder / COPY)
        log.warning("%s: its copy is read", error)
        return plan


def read_one_plan(path: Path) -> Plan:
    """As `read_plan`, of one of the two files."""
    remedy = _remedy(path.parent)
    content = parsed_json(path.read_bytes(), path, remedy)
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


def commit_file(folder: Path, number: int) -> Path:
    """Where a shard's summary is, once it is whole."""
    return (folder / shard_name(number)).with_suffix(".json")


def read_summary(path: Path) -> ShardSummary | None:
    """What a shard holds, by its commit file; None where it isn't committed.

    Raises:
        Damaged: the file is not a summary.
    """
    if not path.exists():
        return None
    remedy = _remedy(path.parent)
    content = read_checked_json(path, remedy)
    try:
        missing = tuple(MissingCrops(**m) for m in content.pop("missing"))
        first, last = content.pop("blob", (0, 0))
        summary = ShardSummary(**content, missing=missing, blob=(int(first), int(last)))
        if summary.file != path.with_suffix(".h5").name:
            raise ValueError(f"it is of {summary.file}")
        if min(summary.videos, summary.crops, summary.bytes, summary.crc32) < 0:
            raise ValueError("a count is negative")
        return summary
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(path, f"not a shard's summary ({type(error).__name__}: {error})", remedy) from error


def read_summaries(folder: Path, shards: int) -> list[ShardSummary]:
    """The summaries of the committed ones among the first `shards` shards."""
    found = (read_summary(commit_file(folder, number)) for number in range(shards))
    return [summary for summary in found if summary is not None]


def manifest(summaries: Sequence[ShardSummary], settings: CropSettings) -> dict[str, Any]:
    """The content of manifest.json."""
    boxes = {"boxes": settings.boxes} if settings.boxes else {}  # plans of before it was recorded lack it
    return {
        "format_version": FORMAT_VERSION,
        "codec": settings.codec,
        "color": "RGB",
        "margin": settings.margin,
        "border": settings.border,
        "size": settings.size,
        "fingerprint": fingerprint(settings),
        **boxes,
        "shards": [_entry(summary) for summary in summaries],
    }


def _entry(summary: ShardSummary) -> dict[str, Any]:
    entry = asdict(summary)
    if summary.index_crc32 is None:  # a shard of before it was recorded, and so the manifest of its time
        del entry["index_crc32"], entry["blob"]
    return entry


def _remedy(folder: Path) -> str:
    return f"run  ffpp-prep verify {folder.parent} --repair"


def _slice(entry: list[Any]) -> PlannedSlice:
    video_id, first, stop, *splits = entry
    if not (isinstance(video_id, str) and all(isinstance(split, str) for split in splits)):
        raise TypeError(f"a slice is {entry}")
    if not 0 <= first < stop:
        raise ValueError(f"a slice of {video_id} is from {first} to {stop}")
    return PlannedSlice(video_id, first, stop, tuple(splits))
