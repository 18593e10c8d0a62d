"""What stands beside the shards in WORK/faces.

plan.json          which rows of which video go to which shard; it only grows
faces-00000.json   one a shard: counts and checksum, the commit
manifest.json      the shards that there are, for readers
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.faces import CropSettings
from ffpp_prep.files import write_json
from ffpp_prep.parts import FORMAT_VERSION, fingerprint, refuse_other_version
from ffpp_prep.shards import MissingCrops, ShardSummary, shard_name


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


def read_plan(folder: Path) -> tuple[CropSettings, list[tuple[PlannedSlice, ...]]] | None:
    """The settings of the crops, and the slices of each shard; None where nothing is planned.

    Raises:
        UserError: the file is not a plan.
    """
    path = folder / "plan.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        refuse_other_version(path, content["format_version"])
        shards = [
            tuple(
                PlannedSlice(video_id, first, stop, tuple(splits)) for video_id, first, stop, *splits in shard
            )
            for shard in content["shards"]
        ]
        return CropSettings(**content["settings"]), shards
    except UserError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a plan of this ffpp-prep ({type(error).__name__}: {error})") from error


def write_plan(folder: Path, plan: Shards, settings: CropSettings) -> None:
    """Writes plan.json."""
    write_json(
        folder / "plan.json",
        {
            "format_version": FORMAT_VERSION,
            "settings": asdict(settings),
            "fingerprint": fingerprint(settings),
            "shards": [[[p.video_id, p.first, p.stop, *p.splits] for p in shard] for shard in plan],
        },
    )


def commit_file(folder: Path, number: int) -> Path:
    """Where a shard's summary is, once it is whole."""
    return (folder / shard_name(number)).with_suffix(".json")


def read_summary(path: Path) -> ShardSummary | None:
    """What a shard holds, by its commit file; None where it isn't committed.

    Raises:
        UserError: the file is not a summary.
    """
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        missing = tuple(MissingCrops(**m) for m in content.pop("missing"))
        return ShardSummary(**content, missing=missing)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not readable; run  ffpp-prep verify WORK --repair") from error


def read_summaries(folder: Path, shards: int) -> list[ShardSummary]:
    """The summaries of the committed ones among the first `shards` shards."""
    found = (read_summary(commit_file(folder, number)) for number in range(shards))
    return [summary for summary in found if summary is not None]


def manifest(summaries: Sequence[ShardSummary], settings: CropSettings) -> dict[str, object]:
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
        "shards": [asdict(s) for s in summaries],
    }
