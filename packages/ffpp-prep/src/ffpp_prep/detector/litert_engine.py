"""The engine for processors: LiteRT with XNNPACK, one frame a call."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, check_frames
from ffpp_prep.detector.litert_model import build_flatbuffer
from ffpp_prep.detector.network import PREDICTION_SIZE, SSDNetwork, build_network
from ffpp_prep.detector.postprocess import detections_of
from ffpp_prep.detector.quiet import native_messages_to_log
from ffpp_prep.detector.weights import WEIGHTS_SHA256, load_weights


class LiteRTDetector:
    """Runs the embedded network on the processor; see `FaceDetector`.

    threads: threads of one detector. Two processes of one thread each are faster than one of two.
    """

    engine = "litert"
    longest = 0
    weights_sha256 = WEIGHTS_SHA256

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._session: _Session | None = None

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame: uint8 (N, H, W, 3), RGB."""
        check_frames(frames)
        height, width = frames.shape[1:3]
        session = self._session
        if session is None or session.process != os.getpid():
            session = _Session(os.getpid(), build_network(load_weights()), self.threads)
            self._session = session
        return [
            detections_of(session.predict(frame), session.network.anchors, height, width) for frame in frames
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {"threads": self.threads, "_session": None}


@dataclass
class _Session:
    """What belongs to one process: an interpreter must not outlive a fork."""

    process: int
    network: SSDNetwork
    threads: int
    interpreter: Any = None
    frame_shape: tuple[int, ...] = ()

    def predict(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the predictions, float32 (5118, 5), of a frame, uint8 (H, W, 3)."""
        if frame.shape != self.frame_shape:
            self._prepare(frame.shape)
        interpreter = self.interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame[None])
        interpreter.invoke()
        outputs = (interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details())
        return np.concatenate([output.reshape(-1, PREDICTION_SIZE) for output in outputs])

    def _prepare(self, frame_shape: tuple[int, ...]) -> None:
        model = build_flatbuffer(self.network, frame_shape[0], frame_shape[1])
        with native_messages_to_log():
            self.interpreter = Interpreter(model_content=model, num_threads=self.threads)
            self.interpreter.allocate_tensors()
        self.frame_shape = frame_shape
