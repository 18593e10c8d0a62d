"""The face detector: one network, its embedded weights, and the engines that run it."""

from __future__ import annotations

from pathlib import Path

from ffpp_prep.detector.interface import Detections, Detector
from ffpp_prep.detector.litert import LiteRTDetector

__all__ = ["Detections", "Detector", "load_detector"]


def load_detector(engine: str = "auto", threads: int = 1, frozen_graph: Path | None = None) -> Detector:
    """Return a detector."""
    return LiteRTDetector(threads)
