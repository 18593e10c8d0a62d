"""From BlazeFace's outputs to faces: anchors, scores, and overlapping boxes averaged by their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIDE = 192  # of the full-range network's input, pixels
STRIDE = 4  # of its one map of cells, each with one anchor
SAME_FACE = 0.3  # intersection over union from which boxes are averaged
SCORE_CLIP = 80.0  # of the raw scores


@dataclass(frozen=True)
class Candidates:
    """Faces of one picture, best first, in its pixels.

    Attributes:
        boxes: (K, 4) x1, y1, x2, y2, maybe beyond the picture's edges.
        scores: (K,) 0…1.
        points: (K, 6, 2) the person's right eye, left eye, nose tip, mouth centre, right ear, left ear.
    """

    boxes: Floats
    scores: Floats
    points: Floats


def anchor_centres() -> Floats:
    """Returns x, y of the anchors, (2304, 2), row by row of the cells."""
    places = np.arange(SIDE // STRIDE, dtype=np.float32) * STRIDE + STRIDE / 2
    x, y = np.meshgrid(places, places)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def scores_of(raw: Floats) -> Floats:
    """Returns the scores (A,), in 0 to 1, of the network's raw ones (A, 1)."""
    scores: Floats = 1 / (1 + np.exp(-raw[:, 0].clip(-SCORE_CLIP, SCORE_CLIP)))
    return scores


def candidates_of(regressed: Floats, scores: Floats, least: float) -> Candidates:
    """Returns the faces in the network's pixels, of scores from `least`; the best one whatever its score.

    Args:
        regressed: (2304, 16) box's centre, width and height, and six points, relative to the anchor.
        scores: (2304,).
        least: that count.
    """
    chosen = np.flatnonzero(scores >= least)
    chosen = chosen if len(chosen) else np.array([scores.argmax()])
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    values, centres = regressed[chosen], anchor_centres()[chosen]
    middles, halves = values[:, :2] + centres, values[:, 2:4] / 2
    points = values[:, 4:].reshape(-1, 6, 2) + centres[:, None]
    boxes = np.concatenate([middles - halves, middles + halves], axis=1)
    return averaged(Candidates(boxes, scores[chosen], points))


def averaged(found: Candidates) -> Candidates:
    """Averages boxes and points that overlap the best one left with it, by their scores; the best score stands."""
    left = np.arange(len(found.scores))
    boxes, scores, points = [], [], []
    while len(left):
        overlaps = box_iou(found.boxes[left[0]], found.boxes[left]) > SAME_FACE
        overlaps[0] = True  # even a box without an area
        same, left = left[overlaps], left[~overlaps]
        weights = found.scores[same] / found.scores[same].sum()
        boxes.append(weights @ found.boxes[same])
        points.append(np.tensordot(weights, found.points[same], 1))
        scores.append(found.scores[same[0]])
    return Candidates(np.stack(boxes), np.array(scores, np.float32), np.stack(points))


def box_iou(box: Floats, others: Floats) -> Floats:
    """Returns the intersection over union (K,) of a box (4,) with others (K, 4)."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = size.clip(0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).clip(0).prod(axis=1) + (box[2:] - box[:2]).clip(0).prod()
    result: Floats = shared / np.maximum(areas - shared, np.finfo(np.float32).tiny)
    return result
