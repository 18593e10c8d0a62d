"""No detector at all: of pictures that are face crops already, each is one face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, check_frames

__all__ = ["WholePicture"]


class WholePicture:
    """Takes every picture whole for one face of score 1; used as a `FaceDetector` is."""

    engine = "none"
    weights_sha256 = ""
    longest = 32
    """decoders needn't scale more than this: nobody looks"""

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns one box a picture, from edge to edge.

        frames: uint8 (N, H, W, 3).
        Raises UserError for another shape or dtype.
        """
        check_frames(frames)
        height, width = frames.shape[1:3]
        whole = Detections(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32))
        return [whole] * len(frames)
