"""Writing one HDF5 shard of face crops (docs/format.md): write, reopen and verify, sync, rename, commit.

WORK/faces/faces-00000.h5       first
WORK/faces/faces-00000.json     then: counts and checksum, the commit
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd

from ffpp_prep.errors import FatalError
from ffpp_prep.format.checksums import write_checked_json
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.files import BLOCK, copy_bytes, crc32, need_space, whole_file
from ffpp_prep.one_video.faces import CropSettings, crops
from ffpp_prep.video import VideoError
from ffpp_prep.work.parts import FORMAT_VERSION, fingerprint

# What a hostile video may provoke, beside VideoError; it costs that video's crops, not the shard.
HOSTILE = (ValueError, ArithmeticError, LookupError, TypeError, MemoryError)
PLACE = 64 << 10  # where the crops' bytes begin in a shard file


@dataclass(frozen=True)
class VideoSlice:
    """The part of a video's crops that a shard holds: the video's row of `videos.parquet`, and its boxes."""

    video_id: str
    path: str
    method: str
    original_id: str
    label: int
    boxes: pd.DataFrame
    size: tuple[int, int] = (0, 0)
    """width and height that its boxes were recorded with"""


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
    """`faces-00000.h5` for 0."""
    return f"faces-{number:05d}.h5"


def write_shard(
    folder: Path, number: int, slices: list[VideoSlice], settings: CropSettings, beat: Callable[[], None]
) -> ShardSummary:
    """Decodes, crops, encodes and writes one shard, and commits it.

    Memory stays flat, and crops are written once: to where they will stand in the file, around which HDF5's own
    bytes are put at the end.

    Raises:
        FatalError: the disk is full.
        OSError: the shard can't be written; what is wrong with a video becomes missing crops.
    """
    path = folder / shard_name(number)
    with whole_file(path) as temporary:
        with temporary.open("w+b") as file:
            file.seek(PLACE)
            columns, groups, missing = _encode(slices, settings, file, beat)
            size = file.tell() - PLACE
        need_space(folder, 64 << 20)
        frame = temporary.with_name(f"{temporary.name}-frame")
        try:
            place = _write(frame, size, columns, groups, settings)
            _join(frame, temporary, place, size, beat)
        finally:
            frame.unlink(missing_ok=True)
        with temporary.open("rb") as file, ThreadPoolExecutor(1) as pool:
            synced = pool.submit(os.fsync, file.fileno())  # the disk works while checksums are computed
            checksum, of_index, blob = _verified(temporary, columns["crc32"], beat)
            synced.result()
    size = path.stat().st_size
    summary = ShardSummary(
        path.name, len(groups), len(columns["frame"]), size, checksum, missing, blob, of_index
    )
    write_checked_json(path.with_suffix(".json"), asdict(summary))
    return summary


def scored_below(path: Path, score: float) -> int:
    """How many crops of a shard have a detector's score below this one."""
    with h5py.File(path, "r", locking=False) as shard:
        return int(np.count_nonzero(shard["score"][:] < score))


def _encode(
    slices: list[VideoSlice], settings: CropSettings, file: IO[bytes], beat: Callable[[], None]
) -> tuple[dict[str, np.ndarray[Any, Any]], pd.DataFrame, tuple[MissingCrops, ...]]:
    encode = codec(settings.codec).encode
    kept: list[pd.DataFrame] = []
    groups: list[tuple[VideoSlice, int, int]] = []
    missing: list[MissingCrops] = []
    sizes: list[int] = []
    shapes: list[tuple[int, int]] = []
    checks: list[int] = []
    for row, part in enumerate(slices):
        start, mark = len(sizes), file.tell()
        positions, error = [], "the video ended before these frames"
        try:
            for position, crop in crops(part.path, part.boxes, settings, beat, part.size):
                try:
                    data = encode(crop)
                except Exception as failure:  # such as a crop larger than the format can be
                    size = f"{crop.shape[1]}x{crop.shape[0]}"
                    error = f"{settings.codec} can't store a crop of {size}: {' '.join(str(failure).split())}"
                    continue
                file.write(data)
                positions.append(position)
                sizes.append(len(data))
                shapes.append((crop.shape[0], crop.shape[1]))
                checks.append(crc32(data))
                del crop, data  # as in `crops`: the same memory again
                beat()
        except HOSTILE as failure:
            text = " ".join(str(failure).split())
            error = text if isinstance(failure, VideoError) else f"{type(failure).__name__}: {text}"
            positions.clear()  # what came before the failure can't be vouched for either
            del sizes[start:], shapes[start:], checks[start:]
            file.seek(mark)
            file.truncate()
        kept.append(part.boxes.iloc[positions].assign(video=row, label=part.label))
        groups.append((part, start, len(positions)))
        if len(positions) < len(part.boxes):
            missing.append(MissingCrops(part.video_id, len(part.boxes) - len(positions), error))
    table = pd.concat(kept, ignore_index=True)
    columns = {
        "offsets": np.concatenate([[0], np.cumsum(sizes, dtype=np.uint64)]).astype(np.uint64),
        "shape": np.array(shapes, np.int32).reshape(-1, 2),
        "video": table["video"].to_numpy(np.uint32),
        "frame": table["frame"].to_numpy(np.int32),
        "pts": table["pts"].to_numpy(np.int64),
        "face": table["face"].to_numpy(np.int8),
        "box": table[["x1", "y1", "x2", "y2"]].to_numpy(np.float32),
        "score": table["score"].to_numpy(np.float32),
        "label": table["label"].to_numpy(np.uint8),
        "crc32": np.array(checks, np.uint32),
    }
    videos = pd.DataFrame(
        {
            "id": [part.video_id for part, _, _ in groups],
            "method": [part.method for part, _, _ in groups],
            "original_id": [part.original_id for part, _, _ in groups],
            "label": [part.label for part, _, _ in groups],
            "start": [start for _, start, _ in groups],
            "count": [count for _, _, count in groups],
        }
    )
    return columns, videos, tuple(missing)


def _write(
    path: Path,
    size: int,
    columns: dict[str, np.ndarray[Any, Any]],
    videos: pd.DataFrame,
    settings: CropSettings,
) -> int:
    """Writes HDF5's own bytes and the columns; returns where the crops' `size` bytes belong, a hole for now."""
    allocated = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    allocated.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    allocated.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    aligned = {"alignment_threshold": size, "alignment_interval": PLACE} if size >= PLACE else {}
    # The earliest file format has no time stamps: equal crops make equal files.
    with h5py.File(path, "w", libver="earliest", **aligned) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["codec"] = settings.codec
        file.attrs["color"] = "RGB"
        file.attrs["margin"] = settings.margin
        file.attrs["border"] = settings.border
        file.attrs["size"] = settings.size
        file.attrs["fingerprint"] = fingerprint(settings)
        blob = file.create_dataset("blob", (size,), np.uint8, dcpl=allocated)
        place = blob.id.get_offset() if size else 0
        for name, values in columns.items():
            file.create_dataset(name, data=values)
        group = file.create_group("videos")
        for name in ("id", "method", "original_id"):
            group.create_dataset(name, data=_fixed(videos[name].tolist()))
        group.create_dataset("label", data=videos["label"].to_numpy(np.uint8))
        group.create_dataset("start", data=videos["start"].to_numpy(np.uint64))
        group.create_dataset("count", data=videos["count"].to_numpy(np.uint64))
        file.attrs["complete"] = True
    return int(place)


def _join(frame: Path, path: Path, place: int, size: int, beat: Callable[[], None]) -> None:
    """Puts the bytes of `frame` around the crops, which stand at PLACE; where they belong elsewhere, moves them."""
    if place == PLACE:
        copy_bytes(frame, 0, path, 0, PLACE, beat)
        end = PLACE + size
        copy_bytes(frame, end, path, end, frame.stat().st_size - end, beat)
    else:  # few or no crops
        copy_bytes(path, PLACE, frame, place, size, beat)
        frame.replace(path)


def _verified(
    path: Path, checks: np.ndarray[Any, Any], beat: Callable[[], None]
) -> tuple[int, int, tuple[int, int]]:
    """Reads the shard back and compares every crop's checksum.

    Returns:
        the CRC-32 of the file, that of all but its crops, and where those are.
    """
    with h5py.File(path, "r", locking=False) as shard:
        sizes = np.diff(shard["offsets"][:]).tolist()
        place = shard["blob"].id.get_offset() or 0
    room = memoryview(bytearray(max([BLOCK, *sizes])))  # the same memory for every crop
    with path.open("rb", buffering=0) as file:
        whole = index = crc32(file.read(place))
        for i, (size, check) in enumerate(zip(sizes, checks.tolist(), strict=True)):
            data = room[: file.readinto(room[:size])]
            if crc32(data) != check:
                raise FatalError(f"{path}: crop {i} reads back other than it was written; check the disk")
            whole = crc32(data, whole)
            if i % 100 == 0:
                beat()
        while data := room[: file.readinto(room[:BLOCK])]:
            whole, index = crc32(data, whole), crc32(data, index)
    return whole, index, (place, place + sum(sizes))


def _fixed(texts: list[str]) -> np.ndarray[Any, Any]:
    # Fixed length: variable-length strings hide behind HDF5's global heap and can't be read in one go.
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}" if encoded else "S1")
