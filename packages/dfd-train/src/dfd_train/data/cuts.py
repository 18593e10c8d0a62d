"""The crops that published detectors are used to: grown boxes, faces aligned by five points, whole pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dfd_train.data.fitting import need_opencv
from dfd_train.data.points import Box, Points, five_points
from dfd_train.data.spec import CropRule, InputSpec
from ffpp_prep.format import alignment
from ffpp_prep.format.geometry import CropGeometry, Image, cut_face

_GEND = ((0.34, 0.46), (0.66, 0.46), (0.5, 0.64), (0.37, 0.82), (0.63, 0.82))
TEMPLATES = {**alignment.TEMPLATES, "gend": np.array(_GEND)}
"""Shares of the crop's side."""


def cut(
    frame: Image, box: Box, geometry: CropGeometry, points: npt.NDArray[np.floating] | None = None
) -> Image:
    """Returns the crop of a face by any rule: `frame` (H, W, 3) uint8 RGB, `box` x1, y1, x2, y2 in pixels.

    points: the five of an aligned face (5, 2), where they are known; else the face mesh finds them.
    Raises: UserError where OpenCV is needed and missing.
    """
    if isinstance(geometry, CropRule):
        if geometry.rule == "frame":
            return frame
        if geometry.rule == "box":
            return _grown(frame, box, geometry)
        if geometry.rule == "aligned":
            return align(frame, five_points(frame, box), geometry)
    if geometry.align and points is None:
        points = five_points(frame, box)
    return cut_face(frame, box, geometry, points)


def need_opencv_for(geometry: CropRule, spec: InputSpec) -> None:
    """Raises UserError where these crops need OpenCV and it is missing."""
    aligned = isinstance(geometry, CropRule) and geometry.rule == "aligned"
    if aligned or spec.interpolation.startswith("opencv"):
        need_opencv()


def _grown(frame: Image, box: Box, geometry: CropRule) -> Image:
    """Cuts a box whose sides move out by `margin` of its length, as far as the frame goes."""
    height, width = frame.shape[:2]
    rows, columns = (
        slice(*_ends(box[axis], box[axis + 2], limit, geometry)) for axis, limit in ((1, height), (0, width))
    )
    return np.ascontiguousarray(frame[rows, columns])


def _ends(low: float, high: float, limit: int, geometry: CropRule) -> tuple[int, int]:
    if geometry.whole_pixels:
        low, high = int(low), int(high)
        grow = int((high - low) * geometry.margin)
        first, last = low - grow, high + grow
    else:
        grow_by = (high - low) * geometry.margin
        first, last = int(low - grow_by), int(high + grow_by) + 1
    start = min(max(0, first), limit - 1)
    return start, max(min(limit, last), start + 1)


def align(frame: Image, points: Points, geometry: CropRule) -> Image:
    """Returns the face turned and scaled so that its points lie where the template has them; black beyond the frame.

    Without a size of its own the crop keeps the face's: `scale` times the mean ratio of the points' ten distances to
    the template's (GenD's rule).
    """
    cv2 = need_opencv()
    template = TEMPLATES[geometry.template or "deepfakebench"]
    size = geometry.size or max(
        1, round(float(np.mean(_distances(points) / _distances(template))) * geometry.scale)
    )
    wanted = (template + (geometry.scale - 1) / 2) * size / geometry.scale
    turn = alignment.similarity(points, wanted)
    aligned: Image = cv2.warpAffine(frame, turn, (size, size), flags=cv2.INTER_LINEAR)
    return aligned


def _distances(points: Points) -> npt.NDArray[np.float64]:
    first, second = np.triu_indices(len(points), k=1)
    apart: npt.NDArray[np.float64] = np.linalg.norm(points[first] - points[second], axis=1)
    return apart
