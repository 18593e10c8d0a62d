"""The face detectors: the thesis's SSD, with two engines that run it, and BlazeFace, which is much faster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, get_args

from ffpp_prep.detector.gpus import may_have_gpu
from ffpp_prep.detector.interface import Detections, FaceDetector
from ffpp_prep.detector.whole import WholePicture
from ffpp_prep.errors import UserError
from ffpp_prep.settings import WHOLE, DetectorName

__all__ = ["BLAZEFACE", "DETECTORS", "ENGINES", "SSD", "Detections", "FaceDetector", "load_detector"]

ENGINES = ("auto", "litert", "tensorflow")
SSD: Final = "ssd"
BLAZEFACE: Final = "blazeface"
DETECTORS: tuple[DetectorName, ...] = get_args(DetectorName)


def load_detector(
    engine: str = "auto", threads: int = 1, frozen_graph: Path | None = None, detector: str = SSD
) -> FaceDetector:
    """Returns a face detector.

    engine: "litert", "tensorflow" (needs the extra `ffpp-prep[tensorflow]`), or "auto": TensorFlow where it is
    installed and sees a GPU, or where a frozen graph is given, else LiteRT.
    threads: processor threads of one detector, at least 1.
    frozen_graph: the thesis's `frozen_inference_graph_face.pb`, to be run in place of the embedded weights; only
    TensorFlow can.
    detector: "ssd", SSD MobileNet V1 trained on WIDER FACE (thesis [29]), or "blazeface", which runs on LiteRT only.
    Raises ValueError for an unknown engine, too few threads, a frozen graph with "litert", or when TensorFlow is wanted
    and can't be had; UserError for an unknown detector, and for BlazeFace with another engine or a frozen graph;
    FileNotFoundError when the frozen graph is not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown detector engine {engine!r}: choose from {', '.join(ENGINES)}")
    if threads < 1:
        raise ValueError(f"detector threads must be at least 1, got {threads}")
    if frozen_graph is not None and engine == "litert":
        raise ValueError(
            "engine litert runs the embedded weights only: a frozen graph needs engine tensorflow"
        )
    check_detector(detector, engine, frozen_graph)
    if detector == WHOLE:
        return WholePicture()
    if detector == BLAZEFACE:
        from ffpp_prep.detector.blazeface import BlazeFaceDetector

        return BlazeFaceDetector(threads)
    if engine == "tensorflow" or (engine == "auto" and (frozen_graph is not None or _tensorflow_sees_gpu())):
        from ffpp_prep.detector.tensorflow_engine import TensorFlowDetector

        return TensorFlowDetector(threads, frozen_graph)
    from ffpp_prep.detector.litert_engine import LiteRTDetector

    return LiteRTDetector(threads)


def check_detector(detector: str, engine: str = "auto", frozen_graph: Path | None = None) -> None:
    """Raises UserError for an unknown detector, or for one that the engine can't run."""
    if detector not in (*DETECTORS, WHOLE):
        raise UserError(f"detector={detector}: unknown; allowed are {', '.join(DETECTORS)}")
    if detector != SSD and engine == "tensorflow":
        raise UserError(f"engine=tensorflow: detector {detector} runs on litert only")
    if detector != SSD and frozen_graph is not None:
        raise UserError(f"frozen_graph={frozen_graph}: is of detector ssd, not {detector}")


def _tensorflow_sees_gpu() -> bool:
    """Asks TensorFlow for a GPU, but imports it (seconds) only where there is an NVIDIA device."""
    if "torch" in sys.modules or not may_have_gpu():
        return False
    from ffpp_prep.detector.tensorflow_graph import import_tensorflow

    return bool(import_tensorflow().config.list_physical_devices("GPU"))
