"""Checks a work folder: every checksum, every count, every crop against its box.

What is damaged loses its commit with `repair`, so that the next run of its step makes it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ffpp_prep.errors import UserError
from ffpp_prep.faces import CropSettings
from ffpp_prep.lock import only_run
from ffpp_prep.manifest import PlannedSlice, manifest, read_plan, read_summaries
from ffpp_prep.stages.fakes import FakeStore
from ffpp_prep.store import BoxStore, read_scan, read_videos_and_parts
from ffpp_prep.verify.damage import Damage
from ffpp_prep.verify.parts import check_parts, count_boxes, count_faces
from ffpp_prep.verify.shards import ShardTask, check_shards

__all__ = ["Damage", "Verification", "verify_work"]


@dataclass(frozen=True)
class Verification:
    """What is sound (parts, their boxes, shards, their crops and bytes), and what is damaged."""

    parts: int
    boxes: int
    shards: int
    crops: int
    bytes: int
    damage: tuple[Damage, ...]


def verify_work(work: str | Path, repair: bool = False, jobs: int = 1) -> Verification:
    """Checks all that is committed in WORK; what isn't committed doesn't count, and isn't looked at.

    Args:
        work: the folder.
        repair: remove the commits of what is damaged, so that the next run of its step makes it again.
        jobs: processes, one shard each; 1 works in this one.

    Raises:
        UserError: no readable scan or plan (scan again, or remove WORK/faces), or with `repair` another run at work.
    """
    work = Path(work).resolve()
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: must be at least 1")
    read_scan(work)
    if repair:
        with only_run(work):
            found = _verify(work, jobs)
            for damage in found.damage:
                for path in damage.remove:
                    path.unlink(missing_ok=True)
            return found
    return _verify(work, jobs)


def _verify(work: Path, jobs: int) -> Verification:
    parts, boxes, damage = check_parts(BoxStore(work), count_boxes)
    sound = not damage
    now = BoxStore(work).fingerprint() if sound else ""
    fakes, folder = FakeStore(work), work / "faces"
    checks, _, damaged_checks = check_parts(fakes, count_faces)
    if not damaged_checks and fakes.commits():
        files = sorted(fakes.folder.glob("*.parquet"), reverse=True)
        damaged_checks += _of_other_boxes((fakes.settings() or {}).get("boxes"), now, files)
    damage += damaged_checks
    plan = read_plan(folder)
    shards = crops = size = 0
    others: list[Damage] = []
    if plan:
        files = [folder / "plan.json", folder / "manifest.json", *sorted(folder.glob("faces-*"))]
        others = list(_of_other_boxes(plan[0].boxes, now, files))
        damage += others
    if plan and not others:
        settings, shard_pieces = plan
        videos = read_videos_and_parts(work).set_index("video_id") if sound else None
        tasks = [
            ShardTask(work, number, pieces, settings, None if videos is None else _of(videos, pieces))
            for number, pieces in enumerate(shard_pieces)
        ]
        with tqdm(total=len(tasks), unit="shard", desc="verify", disable=None) as bar:
            found = sorted(check_shards(tasks, jobs, bar), key=lambda pair: pair[0])
        damage += [result.damage for _, result in found if result.damage]
        summaries = [result.summary for _, result in found if result.summary]
        shards, crops = len(summaries), sum(summary.crops for summary in summaries)
        size = sum(summary.bytes for summary in summaries)
        damage += _manifest(folder, settings, len(shard_pieces))
    return Verification(parts + checks, boxes, shards, crops, size, tuple(damage))


def _of_other_boxes(boxes: str | None, now: str, files: Sequence[Path]) -> Iterator[Damage]:
    """Where what is in the files was made of boxes with another fingerprint than `now`, all of it has to go."""
    if boxes and now and boxes != now:
        yield Damage(files[0], "made of other boxes than those in WORK/boxes", tuple(files))


def _of(videos: pd.DataFrame, pieces: Sequence[PlannedSlice]) -> pd.DataFrame:
    return videos.loc[videos.index.intersection([piece.video_id for piece in pieces])]


def _manifest(folder: Path, settings: CropSettings, shards: int) -> Iterator[Damage]:
    path = folder / "manifest.json"
    if not path.exists():  # the run that writes it isn't over
        return
    try:
        expected = json.loads(json.dumps(manifest(read_summaries(folder, shards), settings)))
        same = json.loads(path.read_text(encoding="utf-8")) == expected
    except (UserError, ValueError):
        same = False
    if not same:
        yield Damage(path, "it doesn't list the shards as they are", (path,))
