"""Whether a face is shaded, as a solid one under any light is, or filled with one tone, as flat drawings are."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw
from scipy.spatial import ConvexHull

from ffpp_prep.format.geometry import Image

SIDE = 96
"""pixels of a face's longer side, at most: in smaller ones noise and the codec's patterns are averaged out"""
TONE = 1.06
"""times a grey level: what lies between is one tone, in dim light as in bright"""
INNER = 0.9
"""of the way from a face's middle to its outline: outside may be background"""


def flatness(picture: Image, mesh: NDArray[np.float32]) -> float:
    """Returns the largest share of a face that is of one tone, 0 to 1; NaN of a face outside the picture.

    Args:
        picture: (H, W, 3) uint8, RGB.
        mesh: (468, 3) points, in pixels of the picture.
    """
    outline = mesh[ConvexHull(mesh[:, :2]).vertices, :2].astype(np.float64)
    start, end = outline.min(0), outline.max(0)
    scale = min(1.0, SIDE / float((end - start).max()))
    width, height = (max(1, round(float(side))) for side in (end - start) * scale)
    whole = PIL.Image.fromarray(picture)
    face = whole.transform(
        (max(1, round(float(end[0] - start[0]))), max(1, round(float(end[1] - start[1])))),
        PIL.Image.Transform.EXTENT,
        (start[0], start[1], end[0], end[1]),
    )
    middle = (start + end) / 2
    inner = (middle + INNER * (outline - middle) - start) * scale
    mask = PIL.Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in inner.tolist()], fill=1)
    grey = np.sort(
        np.asarray(face.convert("L").resize((width, height), PIL.Image.Resampling.BOX))[np.asarray(mask) > 0]
    )
    if not len(grey):
        return float("nan")
    ends = np.searchsorted(grey, grey * TONE, "right")
    return float((ends - np.arange(len(grey))).max() / len(grey))
