"""Which detector runs, and in which processes: one video each, or several that decode for one engine, as for a GPU."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal

import numpy as np

from ffpp_prep.detector import SSD, FaceDetector, check_detector, load_detector
from ffpp_prep.detector.gpus import may_have_gpu, visible_gpus
from ffpp_prep.detector.shared import SharedDetector
from ffpp_prep.errors import UserError
from ffpp_prep.machine import cores
from ffpp_prep.settings import Engine

__all__ = ["MOST_DECODE_THREADS", "DetectorWorkers", "Engine", "find_workers", "process_detector"]

MOST_DECODE_THREADS = 16  # a GPU: more would only wait


@dataclass(frozen=True)
class DetectorWorkers:
    """The processes of a run on this machine.

    Attributes:
        engine: of each process; nothing is "auto" or None any more.
        processes: how many.
        devices: CUDA_VISIBLE_DEVICES of each process; empty leaves it as it is.
    """

    engine: Engine
    processes: int
    devices: tuple[str, ...] = ()

    @property
    def threads(self) -> int:
        """How many threads decode in each process."""
        return self.engine.decode_threads or 1


def find_workers(engine: Engine, jobs: int) -> DetectorWorkers:
    """Decides where the detector runs: on GPUs where TensorFlow sees any, unless told otherwise.

    Args:
        engine: what is wanted.
        jobs: processes where no GPU is used.

    Raises:
        UserError: what is wanted can't be had.
    """
    _check(engine, jobs)
    if engine.detector != SSD:  # LiteRT runs it, on processors
        engine = replace(engine, name="litert")
    wanted = 0 if engine.name == "litert" else engine.gpus
    devices = () if wanted == 0 else visible_gpus()
    if wanted is not None and wanted > len(devices):
        raise UserError(
            f"gpus={wanted}: TensorFlow sees {len(devices)} here; "
            "leave the option out, or run  pip install 'tensorflow[and-cuda]'  where there are more"
        )
    devices = devices[:wanted]
    if devices:
        share = cores() // len(devices)
        threads = engine.decode_threads or min(MOST_DECODE_THREADS, max(2, share))
        engine = replace(engine, name="tensorflow", gpus=len(devices), decode_threads=threads)
        return DetectorWorkers(engine, len(devices), devices)
    tensorflow = engine.name == "tensorflow" or engine.frozen_graph is not None
    name: Literal["tensorflow", "litert"] = "tensorflow" if tensorflow else "litert"
    threads = engine.decode_threads or 1
    hidden = ("",) * jobs if tensorflow and may_have_gpu() else ()
    return DetectorWorkers(replace(engine, name=name, gpus=0, decode_threads=threads), jobs, hidden)


def _check(engine: Engine, jobs: int) -> None:
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    check_detector(engine.detector, engine.name, engine.frozen_graph)
    if engine.detector != SSD and engine.gpus:
        raise UserError(f"gpus={engine.gpus}: detector {engine.detector} runs on the processor only")
    if engine.name == "litert" and engine.gpus:
        raise UserError(f"gpus={engine.gpus}: engine litert runs on the processor only")
    if engine.name == "litert" and engine.frozen_graph:
        raise UserError(f"frozen_graph={engine.frozen_graph}: engine litert runs the embedded network only")
    if engine.frozen_graph and not engine.frozen_graph.is_file():
        raise UserError(f"frozen_graph={engine.frozen_graph}: no such file")
    if (engine.name == "tensorflow" or engine.frozen_graph or engine.gpus) and find_spec(
        "tensorflow"
    ) is None:
        raise UserError("TensorFlow is not installed: pip install 'ffpp-prep[tensorflow]'")


_starting = threading.Lock()


def process_detector(engine: Engine) -> FaceDetector:
    """Returns the detector of this process, started at the first call; several threads may use it where they
    decode for it.

    Raises:
        UserError: it doesn't start.
    """
    with _starting:
        return _started(engine)


@lru_cache(maxsize=1)
def _started(engine: Engine) -> FaceDetector:
    threads = engine.decode_threads or 1
    try:
        detector = load_detector(engine.name, engine.threads, engine.frozen_graph, engine.detector)
        if threads > 1:
            detector = SharedDetector(detector, waiting=threads)
        detector.detect(np.zeros((1, 8, 8, 3), np.uint8))  # a fault of the engine's is not the first video's
    except Exception as error:
        raise UserError(f"the detector doesn't start: {' '.join(str(error).split())[:300]}") from error
    return detector
