"""An engine in a process of its own, to which decode processes bring their batches in shared memory.

So a GPU's batches come from as many processes as decoding takes, and Python's lock of one of them holds up no other.
"""

from __future__ import annotations

import mmap
import os
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from joblib.externals.loky.backend import get_context
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, FaceDetector, check_frames
from ffpp_prep.errors import UserError
from ffpp_prep.machine import end_process
from ffpp_prep.settings import Engine

START_S = 300.0  # in which an engine starts, or starts again
STUCK_S = 120.0  # in which it answers a batch; else it ends, to be started again
MOST_STARTS = 3  # in a row, of an engine that dies before it is ready
_MEMORY = Path("/dev/shm")  # files that are never written to a disk

Load = Callable[[Engine], FaceDetector]
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Served:
    """Where the engines of a run are found.

    Attributes:
        engine: that each of them runs.
        places: of each, its GPU as CUDA_VISIBLE_DEVICES, and its socket.
        key: without which none of them answers.
    """

    engine: Engine
    places: tuple[tuple[str, str], ...]
    key: bytes = field(repr=False)

    def place(self) -> str:
        """Returns the socket of the engine on this process's GPU; one of several by the process's number."""
        device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        own = [socket for gpu, socket in self.places if gpu == device]
        return own[os.getpid() % len(own)]


class EngineProcesses:
    """Starts an engine for each device, and starts it again where it dies; a context manager.

    Args:
        engine: what each of them runs.
        devices: CUDA_VISIBLE_DEVICES of each.
        load: a top-level function that makes the detector.

    Raises:
        UserError: on entering: an engine doesn't start.
    """

    def __init__(self, engine: Engine, devices: tuple[str, ...], load: Load) -> None:
        self._engine, self._devices, self._load = engine, devices, load
        self._stopped = threading.Event()
        self.processes: dict[int, Any] = {}

    def __enter__(self) -> Served:
        self._folder = tempfile.TemporaryDirectory(prefix="ffpp-prep-")
        places = [(gpu, f"{self._folder.name}/engine-{index}") for index, gpu in enumerate(self._devices)]
        served = Served(self._engine, tuple(places), secrets.token_bytes(16))
        try:
            started = [self._start(served, index) for index in range(len(places))]
            for index, pipe in enumerate(started):
                fault = pipe.recv() if pipe.poll(START_S) else f"no engine in {START_S:g} s"
                if fault:
                    raise UserError(fault)
                threading.Thread(target=self._watch, args=(served, index, pipe), daemon=True).start()
        except BaseException as error:  # Ctrl-C too: engines ignore what ends other processes
            self.__exit__(None, None, None)
            if isinstance(error, EOFError):
                raise UserError("the detector doesn't start: its process died") from error
            raise
        return served

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for process in list(self.processes.values()):
            end_process(process.pid)
            process.join()
        self._folder.cleanup()

    def _start(self, served: Served, index: int) -> Connection:
        context = get_context("loky")
        ours: Connection
        ours, theirs = context.Pipe()
        device, socket = served.places[index]
        arguments = (theirs, self._load, served.engine, device, socket, served.key)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self.processes[index] = process
        return ours

    def _watch(self, served: Served, index: int, pipe: Connection) -> None:
        """Starts an engine anew each time that it dies; why it can't any more, its clients read in its place."""
        place, fault, deaths = Path(served.places[index][1]), "", 0
        while not fault:
            try:
                fault, deaths = pipe.recv(), 0
            except (EOFError, OSError):
                if self._stopped.is_set():
                    return
                deaths += 1
                if deaths > MOST_STARTS:
                    fault = "its process died again and again"
                else:
                    place.unlink(missing_ok=True)
                    pipe = self._start(served, index)
        with suppress(OSError):  # the run may be over
            place.unlink(missing_ok=True)
            place.write_text(fault, encoding="utf-8")


class ServedDetector:
    """A detector that runs elsewhere; see `FaceDetector`. A process that loses its engine ends.

    Raises:
        UserError: no engine answers.
    """

    def __init__(self, served: Served) -> None:
        self._connection, (self.engine, self.weights_sha256, self.longest) = _connected(served)
        self._memory = np.empty(0, np.uint8)

    def detect(self, frames: Frames) -> list[Detections]:
        """Returns the faces of each frame, uint8 (N, H, W, 3), RGB, once it is this batch's turn."""
        check_frames(frames)
        try:
            if frames.nbytes > self._memory.nbytes:
                self._share(frames.nbytes)
            self._memory[: frames.nbytes] = frames.reshape(-1)
            self._connection.send(frames.shape)
            answer = self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)  # as if this process had crashed: its video is tried again, with a new engine
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return [Detections(boxes, scores) for boxes, scores in answer]

    def _share(self, size: int) -> None:
        """Makes memory that the engine sees too; its file has no name any more once both have it."""
        with _shared_file(size) as file:
            self._memory = _mapped(file.fileno())
            self._connection.send(file.name)
            self._connection.recv()


def _shared_file(size: int) -> Any:
    """Returns a file of so many bytes, in memory where there is room: a container may have 64 MB of it."""
    try:
        return _filled_file(size, _MEMORY)
    except OSError:
        return _filled_file(size, None)


def _filled_file(size: int, folder: Path | None) -> Any:
    file = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115 (the caller closes it)
    try:
        file.write(bytes(size))  # takes the room: a process is killed that writes to a map which has none
        file.flush()
    except OSError:
        file.close()
        raise
    return file


def _connected(served: Served) -> tuple[Connection, Any]:
    """Returns the connection to this process's engine, and what the engine says of itself."""
    place, end = Path(served.place()), time.monotonic() + START_S
    while True:
        try:
            connection = Client(str(place), authkey=served.key)
            return connection, connection.recv()
        except (OSError, EOFError, AuthenticationError) as error:  # it isn't there yet, or starts again
            if place.is_file():  # no socket
                fault = place.read_text(encoding="utf-8")
                raise UserError(f"the detector doesn't start again: {fault}") from error
            if time.monotonic() > end:
                raise UserError("the detector's process died, and doesn't start again") from error
        time.sleep(0.2)


def _mapped(file: int) -> Frames:
    return np.frombuffer(mmap.mmap(file, 0), np.uint8)


def _serve(pipe: Connection, load: Load, engine: Engine, device: str, socket: str, key: bytes) -> None:
    """Answers requests in an engine's process, until the parent is gone."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # the parent alone decides what to do
        signal.signal(stop, signal.SIG_IGN)
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    try:
        detector = load(engine)
        listener = Listener(socket, authkey=key, backlog=128)
    except Exception as error:
        pipe.send(str(error))
        os._exit(1)
    threading.Thread(target=_listen, args=(listener, detector, engine), daemon=True).start()
    try:
        pipe.send("")
        pipe.recv()
    finally:
        os._exit(0)


def _listen(listener: Listener, detector: FaceDetector, engine: Engine) -> None:
    while True:
        try:
            connection = listener.accept()
        except (OSError, EOFError, AuthenticationError):  # whoever it was is gone
            continue
        threading.Thread(target=_answer, args=(connection, detector, engine), daemon=True).start()


def _answer(connection: Connection, detector: FaceDetector, engine: Engine) -> None:
    """Serves one decode process, until it is gone."""
    memory = np.empty(0, np.uint8)
    try:
        connection.send((detector.engine, detector.weights_sha256, detector.longest))
        while True:
            message = connection.recv()
            if isinstance(message, str):
                _pin(memory, engine, pinned=False)
                with Path(message).open("r+b") as file:
                    memory = _mapped(file.fileno())
                _pin(memory, engine, pinned=True)
                connection.send(None)
                continue
            connection.send(_found(detector, memory[: int(np.prod(message))].reshape(message)))
    except (EOFError, OSError):
        _pin(memory, engine, pinned=False)


def _found(detector: FaceDetector, frames: Frames) -> list[tuple[Any, Any]] | str:
    stuck = threading.Timer(STUCK_S, os._exit, (1,))
    stuck.daemon = True
    stuck.start()
    try:
        return [(found.boxes, found.scores) for found in detector.detect(frames)]
    except Exception as error:  # for the video whose batch it was
        try:
            detector.detect(np.zeros((1, 8, 8, 3), np.uint8))
        except Exception:  # after some faults of a GPU its process can do nothing more: it is started again
            os._exit(1)
        return f"{type(error).__name__}: {error}"
    finally:
        stuck.cancel()


def _pin(memory: Frames, engine: Engine, *, pinned: bool) -> None:
    if engine.name == "torch" and memory.nbytes:
        from ffpp_prep.detector.on_torch.device import pin

        pin(memory, pinned=pinned)
