"""Small faces of large frames: a detector that looks at overlapping tiles of each frame too, not at the whole only."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, FaceDetector, check_frames

__all__ = ["Tiled"]

OVERLAP = 0.25  # of a tile's side, with its neighbour
WHOLE = 4096  # pixels of a whole frame's longer side; the tiles show what is smaller
LEAST = 0.05  # score from which a find counts; below it, the best one only
CUT = 0.5  # what the score of a face at a tile's inner edge is worth, next to a tile or frame that shows more of it
SAME = 0.5  # of the smaller box's area, from which two boxes are one face
MOST = 100  # faces of one frame


class Tiled:
    """Looks at each frame whole, and at N × N tiles of it; used as a `FaceDetector` is.

    Args:
        detector: looks at each of them.
        count: N, tiles along each side, at least 2.
    """

    def __init__(self, detector: FaceDetector, count: int) -> None:
        self._detector, self._count = detector, count
        self.engine, self.weights_sha256 = detector.engine, detector.weights_sha256
        self.longest = round(detector.longest * _tiles_of(count))

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame, uint8 (N, H, W, 3), RGB.

        Raises UserError for another shape or dtype, or a side of more than a million pixels.
        """
        check_frames(frames)
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: NDArray[np.uint8]) -> Detections:
        height, width = frame.shape[:2]
        small = _within(frame, self._detector.longest or WHOLE)
        (whole,) = self._detector.detect(small[None])
        scale = np.array([width / small.shape[1], height / small.shape[0]] * 2, np.float32)
        found, worth = [Detections(whole.boxes * scale, whole.scores)], [whole.scores]
        tops, bottom = _places(height, self._count)
        lefts, right = _places(width, self._count)
        corners = list(product(tops, lefts))
        tiles = np.stack([frame[top : top + bottom, left : left + right] for top, left in corners])
        for (top, left), tile in zip(corners, self._detector.detect(tiles), strict=True):
            boxes = tile.boxes + np.array([left, top, left, top], np.float32)
            found.append(Detections(boxes, tile.scores))
            worth.append(tile.scores * np.where(_cut(boxes, (left, top, right, bottom), frame.shape), CUT, 1))
        return _merged(found, np.concatenate(worth))


def _tiles_of(count: int) -> float:
    """Returns how many times a tile's side is in a frame's: `count` tiles, less what they overlap."""
    return count - OVERLAP * (count - 1)


def _places(side: int, count: int) -> tuple[list[int], int]:
    """Returns where tiles begin along a frame's side, and how long each is."""
    length = math.ceil(side / _tiles_of(count))
    return [round(start) for start in np.linspace(0, side - length, count)], length


def _within(frame: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(
        PIL.Image.fromarray(frame).resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)
    )


def _cut(
    boxes: NDArray[np.float32], tile: tuple[int, int, int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Returns which boxes reach an edge of the tile (left, top, width, height) that isn't the frame's."""
    left, top, width, height = tile
    inner = np.array([left > 0, top > 0, left + width < shape[1], top + height < shape[0]])
    edges = np.array([left, top, left + width, top + height], np.float32)
    cut: NDArray[np.bool_] = ((np.abs(boxes - edges) < 2) & inner).any(axis=1)
    return cut


def _merged(found: list[Detections], worth: NDArray[np.float32]) -> Detections:
    """Returns each face once, best first; of those that are one face the box whose score is worth most."""
    boxes = np.concatenate([one.boxes for one in found])
    scores = np.concatenate([one.scores for one in found])
    kept: list[int] = []
    for index in np.argsort(-worth, kind="stable"):
        if kept and (scores[index] < LEAST or len(kept) == MOST):
            break
        if not (_shared(boxes[kept], boxes[index]) > SAME).any():
            kept.append(int(index))
    kept.sort(key=lambda index: -scores[index])
    return Detections(boxes[kept], scores[kept])


def _shared(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how much of the smaller one's area each of the boxes shares with the box."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    smaller = np.maximum(np.minimum(areas, np.prod(box[2:] - box[:2])), np.finfo(np.float32).tiny)
    shared: NDArray[np.float32] = np.prod(np.maximum(sides, 0), axis=1) / smaller
    return shared
