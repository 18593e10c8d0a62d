"""One engine for several decode threads, so that it always has a batch to work on.

Each thread decodes one video and waits for its own batch's faces, so frames stay in order, and no more batches
than threads are in memory.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import Queue

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, FaceDetector

Frames = NDArray[np.uint8]
_Batch = tuple[Frames, "Future[list[Detections]]"]


class SharedDetector:
    """Gives the batches of many threads to one detector, in the order in which they come; see `FaceDetector`.

    detector: used in one thread only, which is started here and ends with the process.
    waiting: batches that may stand in the queue; a thread that brings one more waits.
    """

    def __init__(self, detector: FaceDetector, waiting: int) -> None:
        self._detector = detector
        self._batches: Queue[_Batch] = Queue(waiting)
        threading.Thread(target=self._serve, name="detector", daemon=True).start()

    @property
    def engine(self) -> str:
        """The name of the engine."""
        return self._detector.engine

    @property
    def weights_sha256(self) -> str:
        """The checksum of the weights file."""
        return self._detector.weights_sha256

    @property
    def longest(self) -> int:
        """Pixels of a frame's longer side that are of use; 0 for all."""
        return self._detector.longest

    def detect(self, frames: Frames) -> list[Detections]:
        """Returns the faces of each frame, uint8 (N, H, W, 3), RGB, once it is this batch's turn."""
        faces: Future[list[Detections]] = Future()
        self._batches.put((frames, faces))
        return faces.result()

    def _serve(self) -> None:
        while True:
            frames, faces = self._batches.get()
            try:
                faces.set_result(self._detector.detect(frames))
            except Exception as error:  # for the thread whose batch it was
                faces.set_exception(error)
