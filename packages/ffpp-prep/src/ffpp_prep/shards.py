"""Writing one HDF5 shard of face crops (docs/format.md): spool, copy, sync, reopen and verify, rename, commit.

WORK/faces/faces-00000.h5       first
WORK/faces/faces-00000.json     then: counts and checksum, the commit
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd

from ffpp_prep.codecs import codec
from ffpp_prep.errors import FatalError
from ffpp_prep.faces import CropSettings, crops
from ffpp_prep.files import BLOCK, need_space, sha256_of, whole_file, write_json
from ffpp_prep.parts import FORMAT_VERSION, fingerprint
from ffpp_prep.video import VideoError


@dataclass(frozen=True)
class VideoSlice:
    """The part of a video's crops that a shard holds: the video's row of `videos.parquet`, and its boxes."""

    video_id: str
    path: str
    method: str
    original_id: str
    label: int
    boxes: pd.DataFrame


@dataclass(frozen=True)
class MissingCrops:
    """Crops that were planned but could not be decoded."""

    video_id: str
    count: int
    error: str


@dataclass(frozen=True)
class ShardSummary:
    """What a committed shard holds; the content of its JSON file."""

    file: str
    videos: int
    crops: int
    bytes: int
    sha256: str
    missing: tuple[MissingCrops, ...] = ()


def shard_name(number: int) -> str:
    """`faces-00000.h5` for 0."""
    return f"faces-{number:05d}.h5"


def write_shard(
    folder: Path, number: int, slices: list[VideoSlice], settings: CropSettings, beat: Callable[[], None]
) -> ShardSummary:
    """Decodes, crops, encodes and writes one shard, and commits it.

    Memory stays flat: encoded crops go to a temporary file and are copied into the shard in blocks.

    Raises:
        FatalError: the disk is full.
    """
    path = folder / shard_name(number)
    with tempfile.TemporaryFile(dir=folder) as spool:
        try:
            columns, groups, missing = _encode(slices, settings, spool, beat)
        except OSError as error:
            raise FatalError(
                f"{folder}: {error.strerror}; free space and run the same command again"
            ) from error
        size = spool.tell()
        need_space(folder, size + (64 << 20))
        with whole_file(path) as temporary:
            _write(temporary, spool, size, columns, groups, settings, beat)
            _verify(temporary, columns["crc32"], beat)
    summary = ShardSummary(
        path.name, len(groups), len(columns["frame"]), path.stat().st_size, sha256_of(path, beat), missing
    )
    write_json(path.with_suffix(".json"), asdict(summary))
    return summary


def _encode(
    slices: list[VideoSlice], settings: CropSettings, spool: IO[bytes], beat: Callable[[], None]
) -> tuple[dict[str, np.ndarray[Any, Any]], pd.DataFrame, tuple[MissingCrops, ...]]:
    encode = codec(settings.codec).encode
    kept: list[pd.DataFrame] = []
    groups: list[tuple[VideoSlice, int, int]] = []
    missing: list[MissingCrops] = []
    sizes: list[int] = []
    shapes: list[tuple[int, int]] = []
    checks: list[int] = []
    for row, part in enumerate(slices):
        start, mark = len(sizes), spool.tell()
        positions, error = [], "the video ended before these frames"
        try:
            for position, crop in crops(part.path, part.boxes, settings):
                data = encode(crop)
                spool.write(data)
                positions.append(position)
                sizes.append(len(data))
                shapes.append((crop.shape[0], crop.shape[1]))
                checks.append(zlib.crc32(data))
                beat()
        except VideoError as failure:
            error = str(failure)
            positions.clear()  # what came before the failure can't be vouched for either
            del sizes[start:], shapes[start:], checks[start:]
            spool.seek(mark)
            spool.truncate()
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
    spool: IO[bytes],
    size: int,
    columns: dict[str, np.ndarray[Any, Any]],
    videos: pd.DataFrame,
    settings: CropSettings,
    beat: Callable[[], None],
) -> None:
    # The earliest file format has no time stamps: equal crops make equal files.
    with h5py.File(path, "w", libver="earliest") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["codec"] = settings.codec
        file.attrs["color"] = "RGB"
        file.attrs["margin"] = settings.margin
        file.attrs["border"] = settings.border
        file.attrs["size"] = settings.size
        file.attrs["fingerprint"] = fingerprint(settings)
        blob = file.create_dataset("blob", (size,), np.uint8)
        spool.seek(0)
        at = 0
        while data := spool.read(BLOCK):
            blob[at : at + len(data)] = np.frombuffer(data, np.uint8)
            at += len(data)
            beat()
        for name, values in columns.items():
            file.create_dataset(name, data=values)
        group = file.create_group("videos")
        for name in ("id", "method", "original_id"):
            group.create_dataset(name, data=_fixed(videos[name].tolist()))
        group.create_dataset("label", data=videos["label"].to_numpy(np.uint8))
        group.create_dataset("start", data=videos["start"].to_numpy(np.uint64))
        group.create_dataset("count", data=videos["count"].to_numpy(np.uint64))
        file.attrs["complete"] = True


def _verify(path: Path, checks: np.ndarray[Any, Any], beat: Callable[[], None]) -> None:
    """Reads the shard back from the disk and compares every crop's checksum."""
    with h5py.File(path, "r") as file:
        offsets, blob = file["offsets"][:].tolist(), file["blob"]
        for i, check in enumerate(checks.tolist()):
            if zlib.crc32(blob[offsets[i] : offsets[i + 1]]) != check:
                raise FatalError(f"{path}: crop {i} reads back other than it was written; check the disk")
            if i % 1000 == 0:
                beat()


def _fixed(texts: list[str]) -> np.ndarray[Any, Any]:
    # Fixed length: variable-length strings hide behind HDF5's global heap and can't be read in one go.
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f"S{max(1, *map(len, encoded))}" if encoded else "S1")
