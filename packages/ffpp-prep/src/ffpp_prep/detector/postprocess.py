"""From the network's predictions to faces: decoding with anchors, clipping, non-maximum suppression."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections

SCORE_FLOOR = 1e-8  # lower scores are raised to it, so that a best box always exists
LOWEST_LOGIT = np.float32(math.log(SCORE_FLOOR))
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100
CENTRE_SCALE = 10.0
SIZE_SCALE = 5.0

_BLOCK = 256  # candidates looked at together; the result does not depend on it


def detections_of(
    predictions: NDArray[np.float32], anchors: NDArray[np.float32], height: int, width: int
) -> Detections:
    """Returns the faces of one frame.

    predictions: float32 (A, 5), ty, tx, th, tw and the logit of an anchor. anchors: float32 (A, 4), ymin, xmin,
    ymax, xmax. height, width: the source frame's, in pixels.
    """
    logits = predictions[:, 4]
    order = np.argsort(-logits, kind="stable")
    boxes = np.empty((0, 4), np.float32)
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        candidates = decode(predictions[block, :4], anchors[block])
        fresh = _suppress(boxes, candidates)[: MAX_DETECTIONS - len(boxes)]
        boxes = np.concatenate([boxes, candidates[fresh]])
        kept = np.concatenate([kept, block[fresh]])
        if len(boxes) == MAX_DETECTIONS:
            break
    size = np.array([width, height, width, height], np.float32)
    scores = 1 / (1 + np.exp(-np.maximum(logits[kept], LOWEST_LOGIT)))
    return Detections(boxes[:, [1, 0, 3, 2]] * size, scores.astype(np.float32))


def decode(codes: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the boxes (K, 4) ymin, xmin, ymax, xmax of codes (K, 4) ty, tx, th, tw, clipped to 0…1."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = codes[:, :2] / CENTRE_SCALE * sizes + (anchors[:, :2] + anchors[:, 2:]) / 2
    halves = np.exp(codes[:, 2:] / SIZE_SCALE) * sizes / 2
    return np.concatenate([centres - halves, centres + halves], axis=1).clip(0, 1)


def _suppress(kept: NDArray[np.float32], candidates: NDArray[np.float32]) -> list[int]:
    """Returns the candidates (best first) that overlap neither a kept box nor a better candidate that stays."""
    alive = (_area(candidates) > 0) & ~(_iou(kept, candidates) > IOU_THRESHOLD).any(axis=0)
    overlaps = _iou(candidates, candidates) > IOU_THRESHOLD
    chosen: list[int] = []
    for index in range(len(candidates)):
        if alive[index]:
            chosen.append(index)
            alive &= ~overlaps[index]
    return chosen


def _area(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _iou(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the intersection over union, (len(left), len(right)), of boxes whose area is not zero."""
    top, first, bottom, last = left.T[:, :, None]
    height = np.minimum(bottom, right[:, 2]) - np.maximum(top, right[:, 0])
    width = np.minimum(last, right[:, 3]) - np.maximum(first, right[:, 1])
    intersection = np.maximum(height, 0) * np.maximum(width, 0)
    union = _area(left)[:, None] + _area(right) - intersection
    result: NDArray[np.float32] = intersection / np.maximum(union, np.finfo(np.float32).tiny)
    return result
