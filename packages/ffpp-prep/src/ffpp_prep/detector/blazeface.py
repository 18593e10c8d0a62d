"""BlazeFace, full range, with the face mesh as judge: several times as fast as the SSD, and boxes framed as the SSD's.

What BlazeFace takes for a face is looked at once more by the mesh's network, whose flag multiplies the score: of cups
and cats little is left. Boxes are then moved to where the SSD would have put them, so that crops are framed alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.blazeface_decode import SIDE, Candidates, candidates_of, scores_of
from ffpp_prep.detector.embedded import BLAZEFACE_SHA256, FULL_RANGE
from ffpp_prep.detector.interface import Detections, check_frames
from ffpp_prep.detector.mesh import FaceMesh, Mesh
from ffpp_prep.detector.sampling import Picture, fitted
from ffpp_prep.detector.ssd_framing import ssd_boxes
from ffpp_prep.detector.tflite import TFLiteNetwork

__all__ = ["BlazeFaceDetector", "BlazeFaces"]

LEAST = 0.2  # score from which a candidate is judged; of a picture without any, the best one is kept
MOST_FACES = 32  # of one picture


@dataclass(frozen=True)
class BlazeFaces:
    """The faces of one picture, best first, never empty: boxes and points of BlazeFace, and each one's mesh.

    The candidates' scores have the mesh's flag in them.
    """

    candidates: Candidates
    meshes: tuple[Mesh, ...]


class BlazeFaceDetector:
    """Runs the embedded networks on the processor; see `FaceDetector`.

    Args:
        threads: of the processor.
    """

    engine = "litert"
    longest = 640  # pixels: the network sees 192, the mesh a face
    weights_sha256 = BLAZEFACE_SHA256

    def __init__(self, threads: int = 1) -> None:
        self._network = TFLiteNetwork(FULL_RANGE, threads)
        self._mesh = FaceMesh(threads)

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame, uint8 (N, H, W, 3), RGB; boxes are framed as the SSD's."""
        check_frames(frames)
        return [self._detections(frame) for frame in frames]

    def faces(self, picture: Picture) -> BlazeFaces:
        """Returns the faces of one picture, uint8 (H, W, 3), RGB, with BlazeFace's own boxes."""
        found = self.candidates(picture)
        meshes = [
            self._mesh.of(picture, box, points[:2])
            for box, points in zip(found.boxes, found.points, strict=True)
        ]
        scores = found.scores * np.array([mesh.flag for mesh in meshes], np.float32)
        order = np.argsort(-scores, kind="stable")
        judged = Candidates(found.boxes[order], scores[order], found.points[order])
        return BlazeFaces(judged, tuple(meshes[index] for index in order))

    def candidates(self, picture: Picture) -> Candidates:
        """Returns the faces of one picture before the mesh judges them, with BlazeFace's own boxes."""
        square, fit = fitted(picture, SIDE)
        outputs = {values.shape[-1]: values for values in self._network.run(square)}
        found = candidates_of(outputs[16], scores_of(outputs[1]), LEAST)
        boxes = fit.to_picture(found.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        first = slice(MOST_FACES)
        return replace(
            found, boxes=boxes[first], scores=found.scores[first], points=fit.to_picture(found.points)[first]
        )

    def _detections(self, picture: Picture) -> Detections:
        height, width = picture.shape[:2]
        found = self.faces(picture)
        size = np.array([width, height, width, height], np.float32)
        boxes = ssd_boxes(np.stack([mesh.points for mesh in found.meshes]))
        return Detections(boxes.clip(0, size), found.candidates.scores)
