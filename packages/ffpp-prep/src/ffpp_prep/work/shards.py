"""One shard of face crops: the planned videos decoded, cropped and encoded, then stored as the format has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from ffpp_prep.format.codecs import codec
from ffpp_prep.format.files import crc32
from ffpp_prep.format.shard_summaries import MissingCrops, ShardSummary, shard_name
from ffpp_prep.format.shard_writer import Encoded, ShardHeader, store_shard
from ffpp_prep.one_video.faces import crops, geometry_of
from ffpp_prep.settings import CropSettings
from ffpp_prep.video import VideoError
from ffpp_prep.work.recorded_settings import fingerprint

# What a hostile video may provoke, beside VideoError; it costs that video's crops, not the shard.
HOSTILE = (ValueError, ArithmeticError, LookupError, TypeError, MemoryError)


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


def write_shard(
    folder: Path, number: int, slices: list[VideoSlice], settings: CropSettings, beat: Callable[[], None]
) -> ShardSummary:
    """Decodes, crops, encodes and writes one shard, and commits it.

    Raises:
        FatalError: the disk is full.
        OSError: the shard can't be written; what is wrong with a video becomes missing crops.
    """
    encoded = partial(_encode, slices, settings, beat)
    return store_shard(folder / shard_name(number), header_of(settings), encoded, beat)


def header_of(settings: CropSettings) -> ShardHeader:
    """Returns what all crops of these settings have in common."""
    return ShardHeader(settings.codec, geometry_of(settings), fingerprint(settings))


def _encode(
    slices: list[VideoSlice], settings: CropSettings, beat: Callable[[], None], file: IO[bytes]
) -> Encoded:
    """Writes the crops' bytes to `file`, from where it stands on; returns what there is to know of them."""
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
    return Encoded(columns, videos, tuple(missing))
