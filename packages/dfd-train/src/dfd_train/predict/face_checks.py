"""Whether what was found is a human face at all: a cat or a macaque must not get a verdict.

Painted and sculpted people do look like faces to both detectors (docs/metrics.md). Pictures of them get no verdict for
another reason, films of them may get one. The one place for such checks: `doubt` is asked of each face that counts, and
an answer keeps it from a verdict.
"""

from __future__ import annotations

import pandas as pd

WEAK = 0.5
"""of the detector, median over a face's frames: weaker boxes are as often something else"""

HUMAN = 0.5
"""of BlazeFace times the mesh's flag, median over a face's first looks: people have 0.66 and more, one in profile 0.55,
a macaque 0.44, and cats and dogs, of which the SSD is sure, 0.15 and less"""


def doubt(face: pd.DataFrame) -> str:
    """Returns why a face may be none, in words; empty where nothing says so. face: its scored rows of
    `Analysis.faces`.
    """
    detected = face[~face["followed"]] if not face["followed"].all() else face
    confidence = float(detected["confidence"].median())
    if confidence < WEAK:
        return f"the detector's score is {confidence:.2f} only"
    human = float(face["human"].median())
    if human < HUMAN:
        return f"a second detector with the face mesh gives it {human:.2f}, {HUMAN:.2f} are needed"
    return ""
