"""A face turned and scaled so that its five points lie where a template has them, as DeepfakeBench cuts faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEMPLATES", "aligned", "similarity", "wanted_points"]

Image = NDArray[np.uint8]
Points = NDArray[np.float64]

# Right eye (on the picture's left), left eye, nose tip, right and left corner of the mouth; of 112 pixels.
_DEEPFAKEBENCH = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
TEMPLATES = {"deepfakebench": np.array(_DEEPFAKEBENCH) / 112}
"""Shares of the crop's side, at scale 1."""


def wanted_points(template: str, size: int, scale: float) -> Points:
    """Returns a template's five points in a crop of `size` pixels that shows `scale` times as much."""
    points: Points = (TEMPLATES[template] + (scale - 1) / 2) * size / scale
    return points


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> Points:
    """Returns the (2, 3) turn, scale and shift of least squares from `source` (N, 2) to `target`, without mirroring.

    Umeyama 1991. Of points as complex numbers it is a straight line: target = a * source + b.
    """
    first, second = np.asarray(source, np.float64), np.asarray(target, np.float64)
    z, w = first[:, 0] + 1j * first[:, 1], second[:, 0] + 1j * second[:, 1]
    centred = z - z.mean()
    spread = float((np.abs(centred) ** 2).sum())
    a = (np.conj(centred) * (w - w.mean())).sum() / (spread or 1.0)
    a = a if abs(a) > 1e-6 else 1e-6 + 0j  # points that all lie in one place
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def aligned(frame: Image, points: NDArray[np.floating], template: str, size: int, scale: float) -> Image:
    """Cuts a face out by its five points.

    Args:
        frame: (H, W, 3) uint8 RGB.
        points: (5, 2) x, y in pixels of the frame.
        template: of TEMPLATES.
        size: side of the crop in pixels.
        scale: how much more than the template is shown.

    Returns:
        (size, size, 3) uint8, bilinear, black beyond the frame.
    """
    forth = similarity(points, wanted_points(template, size, scale))
    turn = forth[:, :2]
    back = np.linalg.inv(turn)
    y, x = np.mgrid[:size, :size]
    places = np.stack([x.ravel(), y.ravel()]) - forth[:, 2:]
    u, v = back @ places
    return _sampled(frame, u, v).reshape(size, size, 3)


def _sampled(frame: Image, u: Points, v: Points) -> Image:
    """Returns bilinear values (N, 3) at x = u, y = v; what lies beyond the frame is 0."""
    height, width = frame.shape[:2]
    u, v = u.clip(-2, width + 1), v.clip(-2, height + 1)
    left, top = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    across, down = (u - left)[:, None], (v - top)[:, None]
    total = np.zeros((len(u), 3))
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        column, row = left + dx, top + dy
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        weight = (across if dx else 1 - across) * (down if dy else 1 - down)
        values = frame[row.clip(0, height - 1), column.clip(0, width - 1)]
        total += np.where(inside[:, None], values, 0) * weight
    return np.rint(total).astype(np.uint8)
