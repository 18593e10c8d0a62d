"""The same face over time: boxes linked by overlap, not across cuts, and not where what is in them jumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.format.geometry import Image
from ffpp_prep.one_video.tracks import Linker, TrackedBox

COLOURS, PATTERN = 0.3, 0.6
"""a face half a second later that shares less than 1 - COLOURS of its colours, and whose pattern of light and dark
correlates by less than PATTERN, is somebody else's. Both, as light changes colours and a turned head the pattern."""


class Follower:
    """Gives the faces of detected frames the numbers of their tracks, from 0.

    max_gap: a track that was not seen for more frames than this has ended.
    """

    def __init__(self, max_gap: int) -> None:
        self._linker = Linker(max_gap)
        self._looks: dict[int, _Look] = {}  # by track, its latest

    def cut(self) -> None:
        """Ends every track: the next frame is of another shot."""
        self._linker.end()
        self._looks.clear()

    def step(self, frame: int, faces: list[TrackedBox], picture: Image) -> list[TrackedBox]:
        """Returns the faces of the next frame (H, W, 3), in the same order, with their tracks."""
        looks = [_Look(picture, face) for face in faces]
        linked = self._linker.step(frame, faces, lambda track, i: not self._looks[track].jumps_to(looks[i]))
        self._looks.update({face.track: look for face, look in zip(linked, looks, strict=True)})
        return linked


class _Look:
    """What a face's box holds, at a few points: shares of 6 x 6 x 6 colours, and 16 x 16 levels of light."""

    def __init__(self, picture: Image, face: TrackedBox) -> None:
        points = _points(picture, face)
        sixth = points.astype(np.int64) * 6 // 256
        index = (sixth[..., 0] * 6 + sixth[..., 1]) * 6 + sixth[..., 2]
        self._colours = np.bincount(index.ravel(), minlength=216) / index.size
        light = points.mean(2).reshape(16, 3, 16, 3).mean((1, 3))
        light -= light.mean()
        self._light = light / (np.linalg.norm(light) or 1.0)

    def jumps_to(self, other: _Look) -> bool:
        """Returns whether the other one can't be the same face soon after."""
        colours = float(np.abs(self._colours - other._colours).sum()) / 2
        return colours > COLOURS and float((self._light * other._light).sum()) < PATTERN


def _points(picture: Image, face: TrackedBox) -> NDArray[np.uint8]:
    """Returns 48 x 48 of the box's pixels; those beyond the picture's edge are its edge's."""
    height, width = picture.shape[:2]
    rows = np.linspace(face.y1, face.y2, 48).clip(0, height - 1).astype(int)
    columns = np.linspace(face.x1, face.x2, 48).clip(0, width - 1).astype(int)
    points: NDArray[np.uint8] = picture[rows[:, None], columns]
    return points
