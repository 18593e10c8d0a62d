"""Which detector finds the faces of a file: that of the model's training data, and another where it finds none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from dfd_train.errors import UserError
from ffpp_prep.detector import BLAZEFACE, DETECTORS, SSD, Detections, load_detector
from ffpp_prep.format.geometry import Image
from ffpp_prep.machine import cores
from ffpp_prep.settings import BoxSettings

CONFIDENCE = BoxSettings.threshold  # of the detector, above which there is a face, as in preparation
DETECTED = 4096  # pixels of the longer side: 4K film and less is looked at as it is
FEWER = 2048  # pixels of the longer side of what is larger


class HasDetector(Protocol):
    """What says which detector cut the faces that a model was trained on."""

    @property
    def detector(self) -> str:
        """The face detector: ssd or blazeface."""
        ...

    @property
    def name(self) -> str:
        """The model's, for people."""
        ...


class FaceFinder:
    """A detector, on LiteRT: TensorFlow would abort a process in which torch is loaded.

    name: ssd or blazeface. threshold: score above which there is a face. tiles: along each side of a picture, at which
    it looks too; None for the whole picture only.
    Raises: UserError for an unknown name, or a threshold outside 0…1.
    """

    def __init__(self, name: str = SSD, threshold: float = CONFIDENCE, tiles: int | None = None) -> None:
        if not 0 <= threshold < 1:
            raise UserError(f"--threshold {threshold}: must be from 0 to less than 1")
        if name not in DETECTORS:
            raise UserError(f"--detector {name}: unknown; allowed are {', '.join(DETECTORS)}")
        self.name, self.threshold, self.tiles = name, threshold, tiles
        self._detector = load_detector("litert", threads=min(4, cores()), detector=name, tiles=tiles)
        self.weights_sha256 = self._detector.weights_sha256

    def detect(self, picture: Image) -> Detections:
        """Returns all candidates of one frame, uint8 (H, W, 3).

        The SSD sees 512 pixels a side, whatever the picture's size; but its engine holds all of the picture as floats,
        0.8 GB of 8192x8192. So of pictures above DETECTED pixels it gets every third pixel, or fewer: at most FEWER.
        Tiles show all pixels.
        """
        longest = max(picture.shape[:2])
        step = 1 if longest <= DETECTED or self.tiles else -(-longest // FEWER)
        found = self._detector.detect(np.ascontiguousarray(picture[::step, ::step])[None])[0]
        return found if step == 1 else replace(found, boxes=found.boxes * step)

    def second(self) -> FaceFinder | None:
        """Returns who looks where this one finds no face at all; None where there is nobody better."""
        return _second(self.threshold, self.tiles) if self.name == SSD else None


@lru_cache(maxsize=4)
def _second(threshold: float, tiles: int | None) -> FaceFinder:
    return FaceFinder(BLAZEFACE, threshold, tiles)


def detector_of(models: Sequence[HasDetector]) -> str:
    """Returns the detector of the models' training data.

    Raises: UserError where they had different ones: their crops are framed alike, but not the same.
    """
    names = {model.detector: model.name for model in models if model.detector}
    if len(names) > 1:
        told = ", ".join(f"{model} by {detector}" for detector, model in names.items())
        raise UserError(
            f"the models learned from faces of different detectors ({told}): choose one, --detector NAME"
        )
    return next(iter(names), SSD)
