"""The face detector: one network, its embedded weights, and the two engines that run it."""

from __future__ import annotations

import sys
from pathlib import Path

from ffpp_prep.detector.gpus import may_have_gpu
from ffpp_prep.detector.interface import Detections, Detector

__all__ = ["ENGINES", "Detections", "Detector", "load_detector"]

ENGINES = ("auto", "litert", "tensorflow")


def load_detector(engine: str = "auto", threads: int = 1, frozen_graph: Path | None = None) -> Detector:
    """Return a face detector (SSD MobileNet V1 trained on WIDER FACE; thesis [29]).

    engine: "litert", "tensorflow" (needs the extra `ffpp-prep[tensorflow]`), or "auto": TensorFlow where it is
    installed and sees a GPU, or where a frozen graph is given, else LiteRT.
    threads: processor threads of one detector, at least 1.
    frozen_graph: the thesis's `frozen_inference_graph_face.pb`, to be run in place of the embedded weights; only
    TensorFlow can.
    Raises ValueError for an unknown engine, too few threads, a frozen graph with "litert", or when TensorFlow is
    wanted and can't be had; FileNotFoundError when the frozen graph is not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown detector engine {engine!r}: choose from {', '.join(ENGINES)}")
    if threads < 1:
        raise ValueError(f"detector threads must be at least 1, got {threads}")
    if frozen_graph is not None and engine == "litert":
        raise ValueError(
            "engine litert runs the embedded weights only: a frozen graph needs engine tensorflow"
        )
    if engine == "tensorflow" or (engine == "auto" and (frozen_graph is not None or _tensorflow_sees_gpu())):
        from ffpp_prep.detector.tensorflow_engine import TensorFlowDetector

        return TensorFlowDetector(threads, frozen_graph)
    from ffpp_prep.detector.litert_engine import LiteRTDetector

    return LiteRTDetector(threads)


def _tensorflow_sees_gpu() -> bool:
    """Ask TensorFlow for a GPU, but import it (seconds) only where there is an NVIDIA device."""
    if "torch" in sys.modules or not may_have_gpu():
        return False
    from ffpp_prep.detector.tensorflow_graph import import_tensorflow

    return bool(import_tensorflow().config.list_physical_devices("GPU"))
