"""Where the SSD would have put its box: from the hull of the face mesh, by a fixed mapping.

Crops of both detectors are so framed alike. `benchmarks/face_detectors.py --fit` finds the numbers, on frames of the
sample in which both detectors are sure: medians over people of shift and size, in widths and heights of the hull.
"""

from __future__ import annotations

import numpy as np

from ffpp_prep.detector.tflite import Floats

SHIFT = (-0.01, -0.02)  # of the centre, right and down
SIZE = (1.00, 1.05)  # width and height


def ssd_boxes(points: Floats) -> Floats:
    """Returns the boxes (K, 4) x1, y1, x2, y2 of faces with these meshes, (K, 468, 2 or more); maybe beyond
    the picture.
    """
    low, high = points[:, :, :2].min(axis=1), points[:, :, :2].max(axis=1)
    size = high - low
    centre = (low + high) / 2 + size * np.array(SHIFT, np.float32)
    half = size * np.array(SIZE, np.float32) / 2
    return np.concatenate([centre - half, centre + half], axis=1)
