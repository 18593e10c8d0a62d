"""The face detectors: the thesis's SSD, and BlazeFace, which is much faster; and the engines that run them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

from ffpp_prep.detector.embedded import BLAZEFACE_SHA256
from ffpp_prep.detector.gpus import may_have_gpu
from ffpp_prep.detector.interface import Detections, FaceDetector
from ffpp_prep.detector.tiles import Tiled
from ffpp_prep.detector.weights import WEIGHTS_SHA256
from ffpp_prep.detector.whole import WholePicture
from ffpp_prep.errors import UserError
from ffpp_prep.format.files import sha256_of
from ffpp_prep.settings import WHOLE, DetectorName, EngineName, Precision, Tiles

__all__ = ["BLAZEFACE", "DETECTORS", "ENGINES", "SSD", "Detections", "FaceDetector", "load_detector"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
NO_GPU = "precision={precision}: torch sees no GPU here; engine=torch has it on processors too"
SSD: Final = "ssd"
BLAZEFACE: Final = "blazeface"
DETECTORS: tuple[DetectorName, ...] = get_args(DetectorName)


def load_detector(
    engine: str = "auto",
    threads: int = 1,
    frozen_graph: Path | None = None,
    detector: str = SSD,
    precision: Precision = "fp32",
    tiles: Tiles = None,
) -> FaceDetector:
    """Returns a face detector.

    engine: "litert", "torch" (needs the extra `ffpp-prep[torch]`), "tensorflow" (`ffpp-prep[tensorflow]`), or "auto":
    torch where it is installed and sees a GPU, then TensorFlow where it does, or where a frozen graph is given, else
    LiteRT.
    threads: processor threads of one detector, at least 1.
    frozen_graph: the thesis's `frozen_inference_graph_face.pb`, to be run in place of the embedded weights; only
    TensorFlow can.
    detector: "ssd", SSD MobileNet V1 trained on WIDER FACE (thesis [29]), or "blazeface", which TensorFlow can't run.
    precision: of torch's networks: "fp32", "fp16" or "bf16".
    tiles: overlapping tiles along each side of a frame, 2 to 8, at which it looks too; None for the whole frame only.
    Raises ValueError for an unknown engine, too few threads, a frozen graph with "litert" or "torch", or when an engine
    is wanted and can't be had; UserError for an unknown detector, and for what the engine can't do with it;
    FileNotFoundError when the frozen graph is not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown detector engine {engine!r}: choose from {', '.join(ENGINES)}")
    if threads < 1:
        raise ValueError(f"detector threads must be at least 1, got {threads}")
    if frozen_graph is not None and engine in ("litert", "torch"):
        raise ValueError(
            f"engine {engine} runs the embedded weights only: a frozen graph needs engine tensorflow"
        )
    check_detector(detector, engine, frozen_graph, precision)
    if detector == WHOLE:
        return WholePicture()
    chosen = _chosen(engine, detector, frozen_graph)
    if chosen != "torch" and precision != "fp32":
        raise UserError(NO_GPU.format(precision=precision))
    built = _built(detector, chosen, threads, frozen_graph, precision)
    return built if tiles is None else Tiled(built, tiles)


def _chosen(engine: str, detector: str, frozen_graph: Path | None) -> str:
    if engine != "auto":
        return engine
    if frozen_graph is None and _torch_sees_gpu():
        return "torch"
    if detector == SSD and (frozen_graph is not None or _tensorflow_sees_gpu()):
        return "tensorflow"
    return "litert"


def _built(
    detector: str, engine: str, threads: int, frozen_graph: Path | None, precision: Precision
) -> FaceDetector:
    """Returns a detector on an engine; of those that don't belong together none stands in for the other."""
    if engine == "torch":
        _require_torch()
    match detector, engine:
        case "ssd", "litert":
            from ffpp_prep.detector.litert_engine import LiteRTDetector

            return LiteRTDetector(threads)
        case "ssd", "tensorflow":
            from ffpp_prep.detector.tensorflow_engine import TensorFlowDetector

            return TensorFlowDetector(threads, frozen_graph)
        case "ssd", "torch":
            from ffpp_prep.detector.on_torch.ssd import TorchSSD

            return TorchSSD(precision, threads)
        case "blazeface", "litert":
            from ffpp_prep.detector.blazeface import BlazeFaceDetector

            return BlazeFaceDetector(threads)
        case "blazeface", "torch":
            from ffpp_prep.detector.on_torch.blazeface import TorchBlazeFace

            return TorchBlazeFace(precision, threads)
    raise UserError(f"engine={engine}: detector {detector} doesn't run on it")


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise ValueError("torch is not installed: pip install 'ffpp-prep[torch]', or engine litert")
    if "tensorflow" in sys.modules:
        raise ValueError("engine torch can't run in a process that has loaded TensorFlow: use engine litert")


def weights_sha256(detector: DetectorName | Literal["whole"], frozen_graph: Path | None = None) -> str:
    """Returns the SHA-256 of the weights that a detector runs, as WORK records it; empty for whole pictures."""
    match detector:
        case "ssd":
            return WEIGHTS_SHA256 if frozen_graph is None else sha256_of(frozen_graph)
        case "blazeface":
            return BLAZEFACE_SHA256
        case "whole":
            return ""


def check_detector(
    detector: str, engine: str = "auto", frozen_graph: Path | None = None, precision: str = "fp32"
) -> None:
    """Raises UserError for an unknown detector, or for what the engine can't do with it."""
    if detector not in (*DETECTORS, WHOLE):
        raise UserError(f"detector={detector}: unknown; allowed are {', '.join(DETECTORS)}")
    if detector != SSD and engine == "tensorflow":
        raise UserError(f"engine=tensorflow: detector {detector} runs on litert or torch only")
    if detector != SSD and frozen_graph is not None:
        raise UserError(f"frozen_graph={frozen_graph}: is of detector ssd, not {detector}")
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision}: unknown; allowed are {', '.join(PRECISIONS)}")
    if precision != "fp32" and engine in ("litert", "tensorflow"):
        raise UserError(f"precision={precision}: engine {engine} knows fp32 only; give engine=torch")


def _torch_sees_gpu() -> bool:
    """Asks torch for a GPU, but imports it (seconds) only where there is an NVIDIA device."""
    if "tensorflow" in sys.modules or not may_have_gpu("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def _tensorflow_sees_gpu() -> bool:
    """Asks TensorFlow for a GPU, but imports it (seconds) only where there is an NVIDIA device."""
    if "torch" in sys.modules or not may_have_gpu("tensorflow"):
        return False
    from ffpp_prep.detector.tensorflow_graph import import_tensorflow

    return bool(import_tensorflow().config.list_physical_devices("GPU"))
