"""A TFLite file run by LiteRT on the processor, one input a call."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ffpp_prep.detector.embedded import Embedded
from ffpp_prep.detector.quiet import native_messages_to_log

Floats = NDArray[np.float32]


class TFLiteNetwork:
    """Runs an embedded network; can be pickled and used after a fork, but not be shared between threads.

    Args:
        file: the network.
        threads: of the processor.
    """

    def __init__(self, file: Embedded, threads: int = 1) -> None:
        self._file, self._threads = file, threads
        self._session: _Session | None = None

    def run(self, values: Floats) -> list[Floats]:
        """Returns the outputs, in the file's order, of one input, float32, without the batch's dimension."""
        session = self._session
        if session is None or session.process != os.getpid():
            session = self._session = _started(self._file, self._threads)
        interpreter = session.interpreter
        interpreter.set_tensor(session.input, values[None])
        interpreter.invoke()
        return [interpreter.get_tensor(index)[0] for index in session.outputs]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}


@dataclass(frozen=True)
class _Session:
    """What belongs to one process: an interpreter must not outlive a fork."""

    process: int
    interpreter: Any
    input: int
    outputs: tuple[int, ...]


def _started(file: Embedded, threads: int) -> _Session:
    with native_messages_to_log():
        interpreter = Interpreter(model_content=file.read(), num_threads=threads)
        interpreter.allocate_tensors()
    outputs = tuple(detail["index"] for detail in interpreter.get_output_details())
    return _Session(os.getpid(), interpreter, interpreter.get_input_details()[0]["index"], outputs)
