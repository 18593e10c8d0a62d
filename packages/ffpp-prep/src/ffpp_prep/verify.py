"""Checks a work folder: every checksum, every count, every crop against its box.

What is damaged loses its commit with `repair`, so that the next run of its step makes it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from imagecodecs import zlibng_crc32
from tqdm import tqdm

from ffpp_prep.boxes import USABLE
from ffpp_prep.errors import UsageError
from ffpp_prep.faces import CropSettings
from ffpp_prep.files import only_run, sha256_of
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.manifest import PlannedSlice, commit_file, manifest, read_plan, read_summaries, read_summary
from ffpp_prep.parts import PartStore, fingerprint
from ffpp_prep.shards import ShardSummary
from ffpp_prep.stages.extract import planned_slices
from ffpp_prep.stages.fakes import FakeStore
from ffpp_prep.store import BoxStore, read_scan, read_videos

BLOCK_CROPS = 100  # in memory at once
# A video's row, its rows in the other table, the settings -> what doesn't agree, "" for nothing.
Count = Callable[[dict[str, Any], pd.DataFrame, dict[str, Any]], str]


@dataclass(frozen=True)
class Damage:
    """Something that is not as it was written, and which files to remove for it to be made again."""

    file: Path
    what: str
    remove: tuple[Path, ...]


@dataclass(frozen=True)
class Verification:
    """What is sound (parts, their boxes, shards, their crops and bytes), and what is damaged."""

    parts: int
    boxes: int
    shards: int
    crops: int
    bytes: int
    damage: tuple[Damage, ...]


@dataclass(frozen=True)
class _Task:
    """A shard to check; `boxes`: also against the boxes, which are sound."""

    work: Path
    number: int
    pieces: tuple[PlannedSlice, ...]
    settings: CropSettings
    boxes: bool


@dataclass(frozen=True)
class _Found:
    """What a shard holds, None where it isn't committed; or what is wrong with it."""

    summary: ShardSummary | None = None
    damage: Damage | None = None


def verify_work(work: str | Path, repair: bool = False, jobs: int = 1) -> Verification:
    """Checks all that is committed in WORK; what isn't committed doesn't count, and isn't looked at.

    Args:
        work: the folder.
        repair: remove the commits of what is damaged, so that the next run of its step makes it again.
        jobs: processes, one shard each; 1 works in this one.

    Raises:
        UsageError: no readable scan or plan (scan again, or remove WORK/faces), or with `repair` another run at work.
    """
    work = Path(work).resolve()
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: must be at least 1")
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
    parts, boxes, damage = _parts(BoxStore(work), _count_boxes)
    sound = not damage
    checks, _, damaged_checks = _parts(FakeStore(work), _count_faces)
    damage += damaged_checks
    folder = work / "faces"
    plan = read_plan(folder)
    shards = crops = size = 0
    if plan:
        settings, shard_pieces = plan
        tasks = [_Task(work, number, pieces, settings, sound) for number, pieces in enumerate(shard_pieces)]
        with tqdm(total=len(tasks), unit="shard", desc="verify", disable=None) as bar:
            found = sorted(_checked(tasks, jobs, bar), key=lambda pair: pair[0])
        damage += [result.damage for _, result in found if result.damage]
        summaries = [result.summary for _, result in found if result.summary]
        shards, crops = len(summaries), sum(summary.crops for summary in summaries)
        size = sum(summary.bytes for summary in summaries)
        damage += _manifest(folder, settings, len(shard_pieces))
    return Verification(parts + checks, boxes, shards, crops, size, tuple(damage))


class _Wrong(Exception):
    """What is wrong with a file."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(what)
        self.file = file


# --- parts ----------------------------------------------------------------------------------------------------


def _parts(store: PartStore[Any], count: Count) -> tuple[int, int, list[Damage]]:
    """How many parts are sound, how many rows they hold, and which are not."""
    sound = total = 0
    damage = []
    fingerprints: set[bytes] = set()
    for commit in store.commits():
        rows = store.rows_file(commit.stem.split("-")[1])
        try:
            total += _part(commit, rows, fingerprints, count)
            sound += 1
        except _Wrong as wrong:
            damage.append(Damage(wrong.file, str(wrong), (commit, rows)))
    return sound, total, damage


def _part(commit: Path, rows_file: Path, fingerprints: set[bytes], count: Count) -> int:
    """Checks one part, and that its settings are those of the parts before; the number of its rows."""
    videos = _table(commit)
    metadata = videos.schema.metadata or {}
    if not {b"rows_sha256", b"settings", b"fingerprint"} <= metadata.keys():
        raise _Wrong(commit, "without checksum or settings: not written by this ffpp-prep")
    if not rows_file.is_file():
        raise _Wrong(rows_file, "missing")
    if sha256_of(rows_file) != metadata[b"rows_sha256"].decode():
        raise _Wrong(rows_file, "its SHA-256 is not the recorded one")
    fingerprints.add(metadata[b"fingerprint"])
    if len(fingerprints) > 1:
        raise _Wrong(commit, "written with other settings than the parts before it")
    settings = json.loads(metadata[b"settings"])
    rows = _table(rows_file).to_pandas()
    rows["video_id"] = rows["video_id"].astype(str)
    by_video = dict(iter(rows.groupby("video_id", sort=False)))
    for video in videos.to_pylist():
        wrong = count(video, by_video.pop(video["video_id"], rows.iloc[:0]), settings)
        if wrong:
            raise _Wrong(rows_file, f"{video['video_id']}: {wrong}")
    if by_video:
        raise _Wrong(rows_file, f"rows of {next(iter(by_video))}, which the part doesn't list")
    return len(rows)


def _count_boxes(video: dict[str, Any], rows: pd.DataFrame, settings: dict[str, Any]) -> str:
    best = rows[rows["face"] == 0]
    frames = video["frames_decoded"]
    if best["frame"].tolist() != list(range(frames)) or (video["status"] in USABLE and not frames):
        return f"boxes in {len(best)} frames, {frames} were decoded"
    with_face = (best["score"].astype(float) > settings["threshold"]).sum()
    multi_face = (rows["face"] == 1).sum()
    return _difference(video, frames_with_face=with_face, frames_multi_face=multi_face)


def _count_faces(video: dict[str, Any], rows: pd.DataFrame, settings: dict[str, Any]) -> str:
    return _difference(video, faces=len(rows), faces_untouched=(~rows["touched"].astype(bool)).sum())


def _difference(video: dict[str, Any], **found: int) -> str:
    wrong = [f"{name} is {video[name]}, the rows say {n}" for name, n in found.items() if video[name] != n]
    return "; ".join(wrong)


def _table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise _Wrong(path, f"not readable: {str(error).splitlines()[0]}") from error
    return table


# --- crops ----------------------------------------------------------------------------------------------------


def _checked(tasks: Sequence[_Task], jobs: int, bar: Any) -> Iterator[tuple[int, _Found]]:
    """The shards' numbers and what was found, as it comes; a file that crashes its reader is damaged too."""
    if jobs == 1:
        for task in tasks:
            yield task.number, _check(task, lambda: None)
            bar.update()
        return
    for outcome in run_tasks(_check, tasks, jobs):
        task, result = outcome.task, outcome.result
        if result is None:
            assert outcome.lost is not None
            commit = commit_file(task.work / "faces", task.number)
            result = _damaged(commit, _Wrong(commit.with_suffix(".h5"), outcome.lost.error))
        yield task.number, result
        bar.update()


def _check(task: _Task, beat: Beat) -> _Found:
    """All there is to check of one shard."""
    commit = commit_file(task.work / "faces", task.number)
    try:
        summary = _shard(commit, commit.with_suffix(".h5"), task.settings, beat)
        if summary and task.boxes:
            _against_boxes(commit.with_suffix(".h5"), summary, task)
    except _Wrong as wrong:
        return _damaged(commit, wrong)
    return _Found(summary)


def _damaged(commit: Path, wrong: _Wrong) -> _Found:
    remove = (commit, commit.with_suffix(".h5"), commit.with_name("manifest.json"))
    return _Found(damage=Damage(wrong.file, str(wrong), remove))


def _shard(commit: Path, path: Path, settings: CropSettings, beat: Beat) -> ShardSummary | None:
    """Checks a shard by itself; its summary, or None where it isn't committed."""
    try:
        summary = read_summary(commit)
    except UsageError as error:
        raise _Wrong(commit, "not readable") from error
    if summary is None:
        return None
    if not path.is_file():
        raise _Wrong(path, "missing")
    if path.stat().st_size != summary.bytes:
        raise _Wrong(path, f"{path.stat().st_size} bytes, not the recorded {summary.bytes}")
    if sha256_of(path, beat) != summary.sha256:
        raise _Wrong(path, "its SHA-256 is not the recorded one")
    with _opened(path) as file:
        crops, videos = len(file["frame"]), len(file["videos/id"])
        if not file.attrs.get("complete", False) or file.attrs["fingerprint"] != fingerprint(settings):
            raise _Wrong(path, "incomplete, or written with other settings than planned")
        if (crops, videos) != (summary.crops, summary.videos) or len(file["offsets"]) != crops + 1:
            raise _Wrong(path, f"{crops} crops of {videos} videos, not the recorded numbers")
        offsets, checks = file["offsets"][:].astype(np.int64), file["crc32"][:]
        for first in range(0, crops, BLOCK_CROPS):
            part = offsets[first : first + BLOCK_CROPS + 1]
            data = file["blob"][part[0] : part[-1]]
            for i, (start, stop) in enumerate(pairwise(part - part[0]), start=first):
                if zlibng_crc32(data[start:stop].tobytes()) != checks[i]:
                    raise _Wrong(path, f"crop {i} is not what was written")
            beat()
    return summary


def _against_boxes(path: Path, summary: ShardSummary, task: _Task) -> None:
    """Checks that a shard's crops are of the boxes that are committed, where those are still listed."""
    videos = read_videos(task.work).set_index("video_id")
    if not {p.video_id for p in task.pieces} <= set(videos.index[videos["status"].isin(USABLE)]):
        return
    missing = {m.video_id: m.count for m in summary.missing}
    with _opened(path) as file:
        for row, part in enumerate(planned_slices(BoxStore(task.work), videos, task.pieces, task.settings)):
            start, count = int(file["videos/start"][row]), int(file["videos/count"][row])
            if file["videos/id"][row].decode() != part.video_id:
                raise _Wrong(path, f"video {row} is not the planned {part.video_id}")
            if count + missing.get(part.video_id, 0) != len(part.boxes):
                raise _Wrong(path, f"{part.video_id}: {count} crops where {len(part.boxes)} are planned")
            own = slice(start, start + count)
            stored = pd.DataFrame({"frame": file["frame"][own], "face": file["face"][own]})
            stored[["x1", "y1", "x2", "y2"]] = file["box"][own]
            planned = part.boxes[list(stored.columns)]
            if count < len(planned):  # some could not be decoded
                planned = stored[["frame", "face"]].merge(planned, on=["frame", "face"])
            if not np.array_equal(stored.to_numpy(), planned.to_numpy()):
                raise _Wrong(path, f"{part.video_id}: its crops are not of the boxes in WORK/boxes")


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise _Wrong(path, f"not readable as a shard: {' '.join(str(error).split())}") from error


def _manifest(folder: Path, settings: CropSettings, shards: int) -> Iterator[Damage]:
    path = folder / "manifest.json"
    if not path.exists():  # the run that writes it isn't over
        return
    try:
        expected = json.loads(json.dumps(manifest(read_summaries(folder, shards), settings)))
        same = json.loads(path.read_text(encoding="utf-8")) == expected
    except (UsageError, ValueError):
        same = False
    if not same:
        yield Damage(path, "it doesn't list the shards as they are", (path,))
