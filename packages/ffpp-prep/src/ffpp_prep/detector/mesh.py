"""The face mesh: 468 points of a face, and whether it is one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.embedded import MESH
from ffpp_prep.detector.sampling import Picture, TurnedSquare
from ffpp_prep.detector.tflite import Floats, TFLiteNetwork
from ffpp_prep.format.points import POINTS, five_points

__all__ = ["REACH", "SIDE", "FaceMesh", "Mesh", "face_square", "placed_mesh"]

SIDE = 192  # of the network's input, pixels
REACH = 1.5  # side of the square that the network sees, of the box's longer side
_CLIP = 80.0


@dataclass(frozen=True)
class Mesh:
    """What the network says of one face.

    Attributes:
        points: float32 (468, 3), x and y in the picture's pixels, and depth in the same unit.
        flag: 0…1, whether it is a face.
    """

    points: Floats
    flag: float

    def five(self) -> Floats:
        """Returns the points of alignment, (5, 2): right eye, left eye, nose tip, right and left corner of
        the mouth.
        """
        return five_points(self.points[:, :2])


class FaceMesh:
    """Runs the network; can be pickled and used after a fork, but not be shared between threads."""

    def __init__(self, threads: int = 1) -> None:
        self._network = TFLiteNetwork(MESH, threads)

    def of(self, picture: Picture, box: NDArray[Any], eyes: NDArray[Any]) -> Mesh:
        """Returns the mesh of one face.

        Args:
            picture: uint8 (H, W, 3) RGB.
            box: x1, y1, x2, y2 of BlazeFace.
            eyes: (2, 2) x, y of the right and of the left eye, whose line shows how the head is turned.
        """
        return self.within(picture, face_square(box, eyes))

    def within(self, picture: Picture, square: TurnedSquare) -> Mesh:
        """Returns the mesh of the face that a square of the picture shows."""
        crop = square.cut(picture, SIDE).astype(np.float32) / np.float32(255)
        outputs = {values.size: values.reshape(-1) for values in self._network.run(crop)}
        return placed_mesh(square, outputs[3 * POINTS], float(outputs[1][0]))


def face_square(box: NDArray[Any], eyes: NDArray[Any]) -> TurnedSquare:
    """Returns the square that the network is to see of a face; see `FaceMesh.of`."""
    across = eyes[1] - eyes[0]
    longer = max(float(box[2] - box[0]), float(box[3] - box[1]), 1.0)
    angle = math.atan2(float(across[1]), float(across[0]))
    x, y = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    return TurnedSquare(x, y, REACH * longer, angle)


def placed_mesh(square: TurnedSquare, values: Floats, flag: float) -> Mesh:
    """Returns the mesh of what the network said of a square: 1404 coordinates in its pixels, and the raw flag."""
    points = values.reshape(POINTS, 3)
    depth = points[:, 2:] * np.float32(square.side / SIDE)
    placed = np.concatenate([square.to_picture(points[:, :2], SIDE), depth], axis=1)
    return Mesh(placed, float(1 / (1 + np.exp(-np.clip(flag, -_CLIP, _CLIP)))))
