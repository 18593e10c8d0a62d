"""Five points of a face, for detectors that are used to aligned ones: by the face mesh."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ffpp_prep.format.geometry import Image
from ffpp_prep.format.points import SURE, upright_points

if TYPE_CHECKING:
    from ffpp_prep.detector.mesh import FaceMesh

Box = tuple[float, float, float, float]
Points = npt.NDArray[np.float64]
"""(5, 2): x, y of the eye on the left of the picture, the other one, the nose's tip, the mouth's corners likewise."""


def five_points(picture: Image, box: Box) -> Points:
    """Returns the points of the face in a box; where the mesh takes it for none, those of an upright one."""
    from ffpp_prep.one_video.landmarks import settled_mesh  # which loads LiteRT: training needs none

    found = settled_mesh(_mesh(), picture, box)
    points = found.five() if found.flag >= SURE else upright_points(box)
    exact: Points = points.astype(np.float64)
    return exact


@cache
def _mesh() -> FaceMesh:
    from ffpp_prep.detector.mesh import FaceMesh

    return FaceMesh()
