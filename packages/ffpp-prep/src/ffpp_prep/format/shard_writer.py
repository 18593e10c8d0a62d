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
from ffpp_prep.format.files import BLOCK, copy_bytes, crc32, need_space, whole_file
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.schemas import FORMAT_VERSION
from ffpp_prep.format.shard_summaries import MissingCrops, ShardSummary

__all__ = [
    "Encoded",
    "ShardHeader",
    "scored_below",
    "store_shard",
]

PLACE = 64 << 10  # where the crops' bytes begin in a shard file
Columns = dict[str, np.ndarray[Any, Any]]  # by the names of `hdf5.PER_CROP`, and `offsets`


@dataclass(frozen=True)
class ShardHeader:
    """What all crops of a shard have in common.

    Attributes:
        codec: how they are stored; see `ffpp_prep.format.codecs`.
        geometry: how they derive from their boxes.
        fingerprint: of the settings that they were made with.
    """

    codec: str
    geometry: CropGeometry
    fingerprint: str


@dataclass(frozen=True)
class Encoded:
    """What there is to know of crops whose bytes were written one after another.

    Attributes:
        columns: one array a dataset, one row a crop; `offsets` has one more.
        videos: one row a video: id, method, original_id, label, and start and count of its crops.
        missing: planned crops that are not among them.
    """

    columns: Columns
    videos: pd.DataFrame
    missing: tuple[MissingCrops, ...] = ()


def store_shard(
    path: Path,
    header: ShardHeader,
    encode: Callable[[IO[bytes]], Encoded],
    beat: Callable[[], None] = lambda: None,
) -> ShardSummary:
    """Writes one shard and commits it.

    Memory stays flat, and crops are written once: to where they will stand in the file, around which HDF5's own
    bytes are put at the end.

    Args:
        path: of the shard.
        header: what all its crops have in common.
        encode: writes the crops' bytes, one after another, to the file that it is given, from where that stands on.
        beat: called every now and then, so that a watcher sees that this goes on.

    Raises:
        FatalError: the disk is full.
        OSError: the shard can't be written.
    """
    with whole_file(path) as temporary:
        with temporary.open("w+b") as file:
            file.seek(PLACE)
            crops = encode(file)
            size = file.tell() - PLACE
        need_space(path.parent, 64 << 20)
        frame = temporary.with_name(f"{temporary.name}-frame")
        try:
            place = _write(frame, size, crops.columns, crops.videos, header)
            _join(frame, temporary, place, size, beat)
        finally:
            frame.unlink(missing_ok=True)
        with temporary.open("rb") as file, ThreadPoolExecutor(1) as pool:
            synced = pool.submit(os.fsync, file.fileno())  # the disk works while checksums are computed
            checksum, of_index, blob = _verified(temporary, crops.columns["crc32"], beat)
            synced.result()
    summary = ShardSummary(
        path.name,
        len(crops.videos),
        len(crops.columns["frame"]),
        path.stat().st_size,
        checksum,
        crops.missing,
        blob,
        of_index,
    )
    write_checked_json(path.with_suffix(".json"), asdict(summary))
    return summary


def scored_below(path: Path, score: float) -> int:
    """Returns how many crops of a shard have a detector's score below this one."""
    with h5py.File(path, "r", locking=False) as shard:
        return int(np.count_nonzero(shard["score"][:] < score))


def _write(
    path: Path,
    size: int,
    columns: Columns,
    videos: pd.DataFrame,
    header: ShardHeader,
) -> int:
    """Writes HDF5's own bytes and the columns; returns where the crops' `size` bytes belong, a hole for now."""
    allocated = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    allocated.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    allocated.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    aligned = {"alignment_threshold": size, "alignment_interval": PLACE} if size >= PLACE else {}
    # The earliest file format has no time stamps: equal crops make equal files.
    with h5py.File(path, "w", libver="earliest", **aligned) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["codec"] = header.codec
        file.attrs["color"] = "RGB"
        file.attrs["margin"] = header.geometry.margin
        file.attrs["border"] = header.geometry.border
        file.attrs["size"] = header.geometry.size
        if header.geometry.align:
            file.attrs["align"] = header.geometry.align
        file.attrs["fingerprint"] = header.fingerprint
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
                raise FatalError(f"{path}: crop {i} doesn't read back as it was written; check the disk")
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
