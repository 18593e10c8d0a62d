"""Checks a work folder: every checksum, every count, every crop against its box.

With `repair`, damaged files lose their commit, so that the next run of their step makes them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.checksums import read_checked_json
from ffpp_prep.format.manifest import MANIFEST, manifest_of
from ffpp_prep.format.shard_summaries import ShardSummary, read_summaries
from ffpp_prep.work.fakes import FakeStore
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.plan import COPY, PLAN, Plan, PlannedSlice, holds_shards, read_one_plan, write_plan
from ffpp_prep.work.shards import header_of
from ffpp_prep.work.store import BoxStore, read_scan, read_videos_and_parts
from ffpp_prep.work.verify.damage import Damage, Unread, unread
from ffpp_prep.work.verify.parts import BOXES, FAKES, LANDMARKS, Content, check_parts
from ffpp_prep.work.verify.shards import ShardTask, check_shards

__all__ = ["Damage", "Unread", "Verification", "verify_work"]


@dataclass(frozen=True)
class Verification:
    """What is sound (parts, their boxes, shards, their crops and bytes), what is damaged, and what couldn't be read."""

    parts: int
    boxes: int
    shards: int
    crops: int
    bytes: int
    damage: tuple[Damage, ...]
    unread: tuple[Unread, ...] = ()


def verify_work(work: str | Path, repair: bool = False, jobs: int = 1) -> Verification:
    """Checks everything that is committed in WORK, and nothing else.

    Args:
        work: the folder.
        repair: remove the commits of what is damaged, so that the next run of its step makes it again. What couldn't be
            read stays.
        jobs: processes, one part or shard each; 1 works in this one.

    Raises:
        UserError: no readable scan (scan again), or with `repair` another run at work.
    """
    work = Path(work).resolve()
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    read_scan(work)
    if not repair:
        return _Check(work, jobs).run()
    with only_run(work):
        check = _Check(work, jobs)
        found = check.run()
        for damage in found.damage:
            for path in damage.remove:
                path.unlink(missing_ok=True)
        if check.plan and any(d.file.name in (PLAN, COPY) and not d.remove for d in found.damage):
            write_plan(work / "faces", check.plan[1], check.plan[0])
        return found


@dataclass
class _Check:
    """One verification, and what it has found so far."""

    work: Path
    jobs: int
    plan: Plan | None = None
    damage: list[Damage] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def run(self) -> Verification:
        boxes, fakes = BoxStore(self.work), FakeStore(self.work)
        parts, rows = self._parts(boxes, BOXES)
        sound = not self.damage and not self.unread
        now = boxes.fingerprint() if sound else ""
        known = len(self.damage) + len(self.unread)
        checks, _ = self._parts(fakes, FAKES)
        if fakes.commits() and known == len(self.damage) + len(self.unread):
            files = sorted(fakes.folder.glob("*.parquet"), reverse=True)
            self.damage += _of_other_boxes((fakes.settings() or {}).get("boxes"), now, files)
        points = self._landmarks(now)
        shards = self._shards(now, sound)
        crops, size = sum(s.crops for s in shards), sum(s.bytes for s in shards)
        found = (tuple(self.damage), tuple(self.unread))
        return Verification(parts + checks + points, rows, len(shards), crops, size, *found)

    def _landmarks(self, now: str) -> int:
        """Checks the landmarks and returns how many of their parts are sound."""
        store, known = LandmarkStore(self.work), len(self.damage) + len(self.unread)
        parts, _ = self._parts(store, LANDMARKS)
        if store.commits() and known == len(self.damage) + len(self.unread):
            files = sorted(store.folder.glob("*.parquet"), reverse=True)
            self.damage += _of_other_boxes((store.settings() or {}).get("boxes"), now, files)
        return parts

    def _parts(self, store: BoxStore | FakeStore | LandmarkStore, content: Content) -> tuple[int, int]:
        parts, rows, damage, lost = check_parts(store, content, self.jobs)
        self.damage += damage
        self.unread += lost
        return parts, rows

    def _shards(self, now: str, sound: bool) -> list[ShardSummary]:
        """Returns the sound ones; `now`: the fingerprint of the boxes, if all of them are `sound`."""
        folder = self.work / "faces"
        self._read_plan(folder)
        if self.plan is None:
            return []
        settings, pieces = self.plan
        others = list(_of_other_boxes(settings.boxes, now, _all_of(folder)))
        self.damage += others
        if others:
            return []
        videos = read_videos_and_parts(self.work).set_index("video_id") if sound else None
        tasks = [
            ShardTask(self.work, number, own, settings, None if videos is None else _of(videos, own))
            for number, own in enumerate(pieces)
        ]
        results = [result for _, result in check_shards(tasks, self.jobs)]
        self.damage += [result for result in results if isinstance(result, Damage)]
        self.unread += [result for result in results if isinstance(result, Unread)]
        self._manifest(folder, self.plan)
        return [result for result in results if isinstance(result, ShardSummary)]

    def _read_plan(self, folder: Path) -> None:
        """Reads both copies of the plan: either is enough, and gives the other back."""
        wrong: list[Damaged] = []
        for name in (PLAN, COPY):
            path = folder / name
            try:
                if not path.exists():
                    if name == PLAN and ((folder / COPY).exists() or holds_shards(folder)):
                        wrong.append(Damaged(path, "it is missing", ""))
                    continue  # nothing is planned, or there was no copy yet
                read_checked_json(path, "")  # first: a bit of the version may have flipped
                plan = read_one_plan(path)
                self.plan = self.plan or plan
            except Damaged as error:
                wrong.append(error)
            except OSError as error:
                self.unread.append(unread(path, error))
        if self.plan:
            note = "the other copy of it is sound, and --repair writes it again"
            self.damage += [Damage(error.path, f"{error.reason}; {note}", ()) for error in wrong]
        elif len(wrong) and not self.unread:
            what = f"{wrong[0].reason}; without it nobody knows what the shards hold"
            self.damage.append(Damage(folder / PLAN, what, _all_of(folder)))

    def _manifest(self, folder: Path, plan: Plan) -> None:
        path = folder / MANIFEST
        try:
            if not path.exists():  # the run that writes it isn't over
                return
            content = read_checked_json(path, "")
            settings, shards = plan
            summaries = read_summaries(folder, len(shards))
            expected = manifest_of(summaries, header_of(settings), settings.boxes)
        except Damaged as error:
            if error.path == path:
                self.damage.append(Damage(path, error.reason, (path,)))
            return  # a shard's summary is damaged: that was said
        except OSError as error:
            self.unread.append(unread(path, error))
            return
        if content != json.loads(json.dumps(expected)):
            self.damage.append(Damage(path, "it doesn't list the shards as they are", (path,)))


def _all_of(folder: Path) -> tuple[Path, ...]:
    """Returns everything in WORK/faces; the plan, without which the rest doesn't count, first."""
    return (folder / PLAN, folder / COPY, folder / MANIFEST, *sorted(folder.glob("faces-*")))


def _of_other_boxes(boxes: str | None, now: str, files: Sequence[Path]) -> Iterator[Damage]:
    """Yields damage of all files that were made of boxes with another fingerprint than `now`."""
    if boxes and now and boxes != now:
        yield Damage(files[0], "made of other boxes than those in WORK/boxes", tuple(files))


def _of(videos: pd.DataFrame, pieces: Sequence[PlannedSlice]) -> pd.DataFrame:
    return videos.loc[videos.index.intersection([piece.video_id for piece in pieces])]
