"""Checks shards: checksums, counts, every crop, and each one against its box."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.errors import Damaged
from ffpp_prep.format.files import crc32, crc32_of
from ffpp_prep.format.hdf5 import open_shard
from ffpp_prep.format.manifest import MANIFEST
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.shard_summaries import ShardSummary, commit_file, read_summary
from ffpp_prep.jobs import Beat
from ffpp_prep.settings import CropSettings
from ffpp_prep.text.units import counted
from ffpp_prep.work.plan import PlannedSlice
from ffpp_prep.work.planning import planned_rows
from ffpp_prep.work.recorded_settings import fingerprint
from ffpp_prep.work.store import BoxStore
from ffpp_prep.work.verify.damage import Damage, Unread, Wrong, unread
from ffpp_prep.work.verify.tasks import each

BLOCK_CROPS = 100  # in memory at once
OF_BOXES = ("video_id", "frame", "face", "score", "x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class ShardTask:
    """A shard to check; `videos`: those of `read_videos_and_parts`, where their boxes are sound, to compare with."""

    work: Path
    number: int
    pieces: tuple[PlannedSlice, ...]
    settings: CropSettings
    videos: pd.DataFrame | None


# What a shard holds, None where it isn't committed; or what is wrong with it; or why nobody knows.
Found = ShardSummary | Damage | Unread | None


def check_shards(tasks: Sequence[ShardTask], jobs: int) -> list[tuple[int, Found]]:
    """Returns the shards' numbers and what was found."""
    found = []
    for task, result in each(_check, tasks, jobs, "shard"):
        if isinstance(result, str):  # its checksum is compared first, so no damage is what ended the process
            result = Unread(_commit(task).with_suffix(".h5"), result)
        found.append((task.number, result))
    return sorted(found, key=lambda pair: pair[0])


def _check(task: ShardTask, beat: Beat) -> Found:
    """Returns all there is to check of one shard."""
    commit = _commit(task)
    try:
        summary = _shard(commit, commit.with_suffix(".h5"), task.settings, beat)
        if summary and task.videos is not None:
            _against_boxes(commit.with_suffix(".h5"), summary, task, task.videos)
    except Wrong as wrong:
        return _damaged(commit, wrong.file, str(wrong))
    except Damaged as damaged:
        if damaged.path.parent == commit.parent:
            return _damaged(commit, damaged.path, damaged.reason)
        return Unread(commit.with_suffix(".h5"), f"not compared with its boxes: {damaged}")
    except OSError as error:
        return unread(commit.with_suffix(".h5"), error)
    return summary


def _commit(task: ShardTask) -> Path:
    return commit_file(task.work / "faces", task.number)


def _damaged(commit: Path, file: Path, what: str) -> Damage:
    return Damage(file, what, (commit, commit.with_suffix(".h5"), commit.with_name(MANIFEST)))


def _shard(commit: Path, path: Path, settings: CropSettings, beat: Beat) -> ShardSummary | None:
    """Checks a shard by itself; its summary, or None where it isn't committed."""
    summary = read_summary(commit)
    if summary is None:
        return None
    if not path.exists():
        raise Wrong(path, "missing")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.stat().st_size != summary.bytes:
        raise Wrong(path, f"{counted(path.stat().st_size, 'byte')}, not the recorded {summary.bytes:,}")
    if crc32_of(path, beat) != summary.crc32:
        raise Wrong(path, "its CRC-32 is not the recorded one")
    with _opened(path) as file:
        crops, videos = len(file["frame"]), len(file["videos/id"])
        if not file.attrs.get("complete", False) or file.attrs.get("fingerprint") != fingerprint(settings):
            raise Wrong(path, "incomplete, or written with other settings than planned")
        if (crops, videos) != (summary.crops, summary.videos) or len(file["offsets"]) != crops + 1:
            raise Wrong(
                path, f"{counted(crops, 'crop')} of {counted(videos, 'video')}, not the recorded numbers"
            )
        offsets, checks = file["offsets"][:].astype(np.int64), file["crc32"][:]
        for first in range(0, crops, BLOCK_CROPS):
            part = offsets[first : first + BLOCK_CROPS + 1]
            data = file["blob"][part[0] : part[-1]]
            for i, (start, stop) in enumerate(pairwise(part - part[0]), start=first):
                if crc32(data[start:stop].tobytes()) != checks[i]:
                    raise Wrong(path, f"crop {i} is not what was written")
            beat()
    return summary


def _against_boxes(path: Path, summary: ShardSummary, task: ShardTask, videos: pd.DataFrame) -> None:
    """Checks that a shard's crops are of the boxes that are committed, where those are still listed."""
    if not {p.video_id for p in task.pieces} <= set(videos.index[videos["status"].isin(USABLE)]):
        return
    rows, planned = planned_rows(BoxStore(task.work), videos, task.pieces, task.settings, OF_BOXES)
    numbers, missing = [len(own) for own in planned], {m.video_id: m.count for m in summary.missing}
    with _opened(path) as file:
        ids = [name.decode(errors="replace") for name in file["videos/id"][:]]
        start, count = file["videos/start"][:].astype(np.int64), file["videos/count"][:].astype(np.int64)
        stored = np.column_stack([file["frame"][:], file["face"][:], file["box"][:].astype(np.float64)])
    for row, (name, piece, number) in enumerate(zip(ids, task.pieces, numbers, strict=False)):
        if name != piece.video_id:
            raise Wrong(path, f"video {row} is not the planned {piece.video_id}")
        if count[row] + missing.get(name, 0) != number:
            raise Wrong(path, f"{name}: {counted(int(count[row]), 'crop')}, but the plan has {number:,}")
    if len(ids) != len(planned) or not np.array_equal(start, np.cumsum(count) - count):
        raise Wrong(
            path,
            f"holds {counted(len(ids), 'video')} where the plan has {len(planned):,}, or holds them at other positions",
        )
    if count.sum() != len(stored):
        raise Wrong(path, f"{counted(len(stored), 'crop')}, its videos have {count.sum():,}")
    columns = ["frame", "face", "x1", "y1", "x2", "y2"]
    boxes = rows[columns].to_numpy(np.float64)[np.concatenate(planned)]
    owner = np.repeat(np.arange(len(ids)), count)
    wanted = np.repeat(np.arange(len(planned)), numbers)
    keys = _keys(owner, stored)
    boxes = boxes[np.isin(_keys(wanted, boxes), keys)]  # some could not be decoded
    same = len(boxes) == len(stored) and np.all(stored == boxes, axis=1)
    if not np.all(same):
        first = owner[int(np.argmin(same))] if np.ndim(same) else 0
        raise Wrong(path, f"{ids[first]}: its crops are not of the boxes in WORK/boxes")


def _keys(owner: NDArray[np.int64], rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns one number for each video's frame and face."""
    frame, face = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    return (owner << 40) | (frame << 8) | (face & 0xFF)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with open_shard(path, "") as file:
        yield file
