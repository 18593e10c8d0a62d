"""Whether what was found is a living human face: a cat, a macaque, a cartoon or a statue must not get a verdict.

The one place for such checks: `doubt` is asked of each face that counts, and an answer keeps it from a verdict. What
they catch and what not is measured in `benchmarks/humanity.py` and `benchmarks/stillness.py`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from dfd_train.predict.faces import FoundFace
from dfd_train.predict.movement import Movement
from dfd_train.predict.shading import flatness
from ffpp_prep.detector.blazeface import BlazeFaceDetector
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.machine import cores

WEAK = 0.5
"""of the detector, median over a face's frames: weaker boxes are as often something else"""

HUMAN = 0.5
"""of BlazeFace times the mesh's flag, median over a face's first looks: people have 0.66 and more, one in profile 0.55,
a macaque 0.44, and cats and dogs, of which the SSD is sure, 0.15 and less"""

STILL = 0.014
"""of `Movement.spread`: most films of pictures have less, and some of people who keep still"""

FLAT = 0.4
"""of `flatness`, median over the looks at which a face is judged: people have 0.37 and less, at CRF 40 too"""

JUDGED, WATCHED = 5, 24
"""looks at a face in which it is asked whether it is a human one, and whether it moves: twelve seconds as a rule"""

APART_S = 0.25
"""seconds between two looks at movement, at least: of every frame, they would show one second only"""

SURROUNDINGS = CropGeometry(margin=1.0)


class WatchedFace:
    """One face, its first looks seen once more by BlazeFace with the face mesh, whoever found it."""

    def __init__(self) -> None:
        self.movement = Movement()
        self._flatness: list[float] = []
        self._judged = self._watched = 0
        self._due = 0.0

    def look(self, face: FoundFace) -> float:
        """Returns how surely it is a human face, 0 to 1 (cats: 0); NaN of a look that is not asked for it."""
        asked = not face.followed and self._judged < JUDGED
        watched = self._watched < WATCHED and face.time >= self._due
        if face.cut is None or not (asked or watched):
            return float("nan")
        picture = face.cut(SURROUNDINGS)
        seen = _judge().faces(picture)
        sure = float(seen.candidates.scores[0])
        if watched:
            self._watched, self._due = self._watched + 1, face.time + APART_S - 1e-6
            self.movement.add(seen.meshes[0].points, sure)
        if not asked:
            return float("nan")
        self._judged += 1
        self._flatness.append(flatness(picture, seen.meshes[0].points))
        return sure

    @property
    def flatness(self) -> float:
        """The median of `shading.flatness` over the looks at which it was judged; NaN where there was none."""
        return float(np.median(self._flatness)) if self._flatness else float("nan")


@lru_cache(maxsize=1)
def _judge() -> BlazeFaceDetector:
    return BlazeFaceDetector(min(4, cores()))


def doubt(face: pd.DataFrame) -> str:
    """Returns why a face may be none, in words; empty where nothing says so. face: its scored rows of
    `Analysis.faces`.
    """
    detected = face[~face["followed"]] if not face["followed"].all() else face
    confidence = float(detected["confidence"].median())
    if confidence < WEAK:
        return f"the face detector is only {confidence:.2f} sure, from 0 to 1"
    human = float(face["human"].median())
    if human < HUMAN:
        return f"a second look for a human face is {human:.2f} sure, from 0 to 1; {HUMAN:.2f} is needed"
    if float(face["flatness"].iloc[0]) > FLAT:
        return "most of it is of one tone, as in flat drawings and overexposed films"
    if float(face["movement"].iloc[0]) < STILL:
        return "its expression never changes, as in pictures, statues, and people who keep still"
    return ""
