"""Which detector runs, and in which processes: one video each, or several that decode for one engine, as for a GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from ffpp_prep.detector import NO_GPU, SSD, FaceDetector, check_detector, load_detector
from ffpp_prep.detector.gpus import Library, may_have_gpu, visible_gpus
from ffpp_prep.detector.served import EngineProcesses, Served, ServedDetector
from ffpp_prep.detector.shared import SharedDetector
from ffpp_prep.errors import UserError
from ffpp_prep.machine import cores
from ffpp_prep.settings import WHOLE, Engine

__all__ = [
    "MOST_DECODE_THREADS",
    "Crew",
    "DetectorWorkers",
    "Engine",
    "Served",
    "find_workers",
    "process_detector",
]

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
    def decoders(self) -> int:
        """How many videos are decoded at once."""
        return self.processes * (self.engine.decode_threads or 1)

    @contextmanager
    def at_work(self, tasks: int) -> Iterator[Crew]:
        """Starts torch's engines, where there are tasks and several processes decode for each; yields who does them.

        Raises:
            UserError: an engine doesn't start.
        """
        many = self.engine.decode_threads or 1
        if self.engine.name != "torch" or many == 1 or not tasks:
            yield Crew(self.engine, self.processes, many, self.devices)
            return
        devices = self.devices or (os.environ.get("CUDA_VISIBLE_DEVICES", ""),) * self.processes
        with EngineProcesses(self.engine, devices, process_detector) as served:
            yield Crew(served, self.decoders, 1, devices * many)


@dataclass(frozen=True)
class Crew:
    """The processes that do the tasks, as `run_tasks` takes them.

    Attributes:
        engine: of a task, see `process_detector`.
        processes: how many.
        threads: tasks that each has at work at once.
        devices: CUDA_VISIBLE_DEVICES of each process; empty leaves it as it is.
    """

    engine: Engine | Served
    processes: int
    threads: int
    devices: tuple[str, ...]


def find_workers(engine: Engine, jobs: int) -> DetectorWorkers:
    """Decides where the detector runs: on GPUs where torch sees any, or else TensorFlow, unless told otherwise.

    Args:
        engine: what is wanted.
        jobs: processes where no GPU is used.

    Raises:
        UserError: what is wanted can't be had.
    """
    _check(engine, jobs)
    library, devices = _on_gpus(engine)
    if engine.gpus is not None and engine.gpus > len(devices):
        raise UserError(
            f"gpus={engine.gpus}: {_named(_libraries(engine))} sees {len(devices)} here; leave the option out, or "
            "install torch's build for CUDA, or  pip install 'tensorflow[and-cuda]'  if there are more"
        )
    devices = devices[: engine.gpus]
    if devices:
        share = cores() // len(devices)
        threads = engine.decode_threads or min(MOST_DECODE_THREADS, max(2, share))
        engine = replace(engine, name=library, gpus=len(devices), decode_threads=threads)
        return DetectorWorkers(engine, len(devices), devices)
    if engine.precision != "fp32" and engine.name == "auto":
        raise UserError(NO_GPU.format(precision=engine.precision))
    name = "tensorflow" if engine.frozen_graph else "litert" if engine.name == "auto" else engine.name
    hidden = ("",) * jobs if name != "litert" and may_have_gpu(name) else ()
    threads = engine.decode_threads or 1
    return DetectorWorkers(replace(engine, name=name, gpus=0, decode_threads=threads), jobs, hidden)


def _libraries(engine: Engine) -> tuple[Library, ...]:
    """Returns the libraries that may run a detector on a GPU, the better one first."""
    if engine.detector == WHOLE or engine.name == "litert":
        return ()
    if engine.name != "auto":
        return (engine.name,)
    if engine.frozen_graph:
        return ("tensorflow",)
    return ("torch", "tensorflow") if engine.detector == SSD and engine.precision == "fp32" else ("torch",)


def _named(libraries: tuple[Library, ...]) -> str:
    return " or ".join(libraries).replace("tensorflow", "TensorFlow")


def _on_gpus(engine: Engine) -> tuple[Library, tuple[str, ...]]:
    """Returns which library runs the detector on which GPUs."""
    for library in _libraries(engine) if engine.gpus != 0 else ():
        if devices := visible_gpus(library):
            return library, devices
    return "torch", ()


def _check(engine: Engine, jobs: int) -> None:
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    check_detector(engine.detector, engine.name, engine.frozen_graph, engine.precision)
    libraries = _libraries(engine)
    if engine.gpus and not libraries:
        what = "engine litert" if engine.name == "litert" else f"detector {engine.detector}"
        raise UserError(f"gpus={engine.gpus}: {what} runs on the processor only")
    if engine.name in ("litert", "torch") and engine.frozen_graph:
        raise UserError(
            f"frozen_graph={engine.frozen_graph}: engine {engine.name} runs the embedded network only"
        )
    if engine.frozen_graph and not engine.frozen_graph.is_file():
        raise UserError(f"frozen_graph={engine.frozen_graph}: no such file")
    wanted = engine.name in ("torch", "tensorflow") or engine.frozen_graph or engine.gpus
    if wanted and libraries and not any(map(find_spec, libraries)):
        extras = " or ".join(f"pip install 'ffpp-prep[{library}]'" for library in libraries)
        raise UserError(f"{_named(libraries)} is not installed: {extras}")


_starting = threading.Lock()


def process_detector(engine: Engine | Served) -> FaceDetector:
    """Returns the detector of this process, started at the first call, or connected to where it is served; several
    threads may use it where they decode for it.

    Raises:
        UserError: it doesn't start.
    """
    with _starting:
        return _started(engine)


@lru_cache(maxsize=1)
def _started(engine: Engine | Served) -> FaceDetector:
    if isinstance(engine, Served):
        return ServedDetector(engine)
    threads = engine.decode_threads or 1
    try:
        detector = load_detector(
            engine.name,
            engine.threads,
            engine.frozen_graph,
            engine.detector,
            engine.precision,
            engine.tiles,
        )
        if threads > 1:
            detector = SharedDetector(detector, waiting=threads)
        detector.detect(np.zeros((1, 8, 8, 3), np.uint8))  # a fault of the engine's is not the first video's
    except Exception as error:
        raise UserError(f"the detector doesn't start: {' '.join(str(error).split())[:300]}") from error
    return detector
