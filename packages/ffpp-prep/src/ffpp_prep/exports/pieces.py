"""A piece of an export: a file, or a video's folder, that is whole or not there; and the crops that it holds."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet

__all__ = ["ExportedCrop", "Piece", "crops_of", "plain_name", "points_in_crop", "safe_name", "to_png"]

LONGEST_NAME = 80


@dataclass(frozen=True)
class Piece:
    """A file or folder to be written.

    Attributes:
        path: relative to the export's folder.
        rows: of each crop the row of its video, int64 (N,).
        frames: of each crop, int32 (N,).
        scores: of the detector, float32 (N,).
    """

    path: PurePosixPath
    rows: NDArray[np.int64]
    frames: NDArray[np.int32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class ExportedCrop:
    """One crop with what is known of it; `image`: (h, w, 3) uint8 RGB."""

    image: Image
    row: int
    frame: int
    score: float


def crops_of(prepared: PreparedSet, piece: Piece) -> Iterator[ExportedCrop]:
    """Reads the crops of a piece. Raises: UserError where one is damaged."""
    for row, frame, score in zip(
        piece.rows.tolist(), piece.frames.tolist(), piece.scores.tolist(), strict=True
    ):
        yield ExportedCrop(prepared.read_crop_at(row, frame), row, frame, score)


def to_png(image: Image) -> bytes:
    """Returns the bytes of a PNG file of a crop, the same from run to run."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def plain_name(text: str, otherwise: str) -> str:
    """Returns what a split or a method is called, as the name of one file or folder; `otherwise` where nothing
    is left.
    """
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or otherwise


def safe_name(video_id: str) -> str:
    """Returns a folder's name for a video, on any system: what it is called, and a few digits that tell it
    from all others.
    """
    plain = re.sub(r"[^\w-]+", "_", PurePosixPath(video_id).stem, flags=re.ASCII).strip("_")[:LONGEST_NAME]
    return f"{plain or 'video'}-{hashlib.sha256(video_id.encode()).hexdigest()[:8]}"


def points_in_crop(prepared: PreparedSet, crop: ExportedCrop) -> NDArray[np.float32] | None:
    """Returns the 468 points of a crop's face in the crop's own pixels, (468, 2); None where they aren't known."""
    video_id = str(prepared.videos.at[crop.row, "video_id"])
    box = prepared.box_at(crop.row, crop.frame)
    if box is None or prepared.points.find(video_id, crop.frame, 0, box.corners) is None:
        return None
    return prepared.points_in_crop(crop.row, crop.frame).astype(np.float32)
