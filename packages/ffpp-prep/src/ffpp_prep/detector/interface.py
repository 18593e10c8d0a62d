"""The interface of every detector engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError

__all__ = ["LONGEST_SIDE", "Detections", "FaceDetector", "check_frames"]

LONGEST_SIDE = 1 << 20  # pixels; engines fail at some more


@dataclass(frozen=True)
class Detections:
    """The faces found in one frame, best first; never empty, because a best box always exists.

    boxes: float32 (K, 4), x1, y1, x2, y2 in pixels of the source frame, not rounded, inside the frame; K <= 100.
    scores: float32 (K,), 0…1, descending.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class FaceDetector(Protocol):
    """Finds faces in frames.

    A detector can be pickled and may be used after a fork: what belongs to a process is made again there at the
    first call. It is not to be shared between threads.

    engine: "litert", "tensorflow" or "torch"; "torch-fp16" where its precision is less than float32's.
    weights_sha256: hexadecimal SHA-256 of the file that the weights came from.
    longest: pixels of a frame's longer side that it makes use of; 0 where it wants the whole frame.
    """

    @property
    def engine(self) -> str:
        """The name of the engine."""
        ...

    @property
    def weights_sha256(self) -> str:
        """The checksum of the weights file."""
        ...

    @property
    def longest(self) -> int:
        """Pixels of a frame's longer side that are of use; 0 for all."""
        ...

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame.

        frames: uint8 (N, H, W, 3), RGB.
        Raises UserError for another shape or dtype, or a side of more than a million pixels.
        """
        ...


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Raises UserError unless the frames are uint8 (N, H, W, 3), neither empty nor a line without end."""
    if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape[1:] or frames.dtype != np.uint8:
        raise UserError(f"frames must be uint8 (N, H, W, 3), got {frames.dtype} {frames.shape}")
    height, width = frames.shape[1:3]
    if max(height, width) > LONGEST_SIDE:
        raise UserError(f"{width}x{height} pixels: a side may have at most {LONGEST_SIDE}")
