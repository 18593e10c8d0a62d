"""What each committed shard in WORK/faces holds: faces-00000.json, its commit. Nothing here opens shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json
from ffpp_prep.format.made_with import remedy_of

__all__ = ["MissingCrops", "ShardSummary", "commit_file", "read_summaries", "read_summary", "shard_name"]


@dataclass(frozen=True)
class MissingCrops:
    """Crops that were planned but could not be decoded, or stored."""

    video_id: str
    count: int
    error: str


@dataclass(frozen=True)
class ShardSummary:
    """What a committed shard holds; the content of its JSON file.

    Attributes:
        crc32: of the whole file.
        missing: planned crops that it doesn't hold.
        blob: from which byte to which one the crops lie.
        index_crc32: of all other bytes, which say where each crop stands; a crop has a checksum of its own. None, as
            `blob` is (0, 0), for shards of before it was recorded.
    """

    file: str
    videos: int
    crops: int
    bytes: int
    crc32: int
    missing: tuple[MissingCrops, ...] = ()
    blob: tuple[int, int] = (0, 0)
    index_crc32: int | None = None


def shard_name(number: int) -> str:
    """Returns a shard's file name: `faces-00000.h5` for 0."""
    return f"faces-{number:05d}.h5"


def commit_file(folder: Path, number: int) -> Path:
    """Returns the file in which a shard's summary stands once the shard is whole."""
    return (folder / shard_name(number)).with_suffix(".json")


def read_summary(path: Path) -> ShardSummary | None:
    """Returns what a shard holds, by its commit file; None where it isn't committed.

    Raises:
        Damaged: the file is not a summary.
    """
    if not path.exists():
        return None
    remedy = remedy_of(path)
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
    """Returns the summaries of the committed ones among the first `shards` shards."""
    found = (read_summary(commit_file(folder, number)) for number in range(shards))
    return [summary for summary in found if summary is not None]
