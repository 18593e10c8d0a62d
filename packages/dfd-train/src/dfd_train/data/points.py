"""Five points of a face, for detectors that are used to aligned ones: by the face mesh."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ffpp_prep.format.geometry import Image

if TYPE_CHECKING:
    from ffpp_prep.detector.mesh import FaceMesh

Box = tuple[float, float, float, float]
Points = npt.NDArray[np.float64]
"""(5, 2): x, y of the eye on the left of the picture, the other one, the nose's tip, the mouth's corners likewise."""

# shares of the box, of an upright face that looks ahead
_UPRIGHT = np.array([(0.31, 0.38), (0.69, 0.38), (0.5, 0.58), (0.34, 0.76), (0.66, 0.76)])


def five_points(picture: Image, box: Box) -> Points:
    """Returns the points of the face in a box; where the mesh takes it for none, those of an upright one."""
    from ffpp_prep.one_video.landmarks import settled_mesh  # which loads LiteRT: training needs none

    found = settled_mesh(_mesh(), picture, box)
    if found.flag >= 0.5:
        points: Points = found.five().astype(np.float64)
        return points
    corner, size = np.array(box[:2]), np.array([box[2] - box[0], box[3] - box[1]])
    upright: Points = corner + _UPRIGHT * size
    return upright


@cache
def _mesh() -> FaceMesh:
    from ffpp_prep.detector.mesh import FaceMesh

    return FaceMesh()
