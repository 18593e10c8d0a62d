"""The engine for GPUs: a frozen TensorFlow graph, ours or the thesis's own file, several frames a call."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector.interface import Detections, check_frames
from ffpp_prep.detector.network import build_network
from ffpp_prep.detector.quiet import native_messages_to_log
from ffpp_prep.detector.tensorflow_graph import build_frozen_graph, import_tensorflow
from ffpp_prep.detector.weights import WEIGHTS_SHA256, load_weights

THESIS_GRAPH_BLOB = "6c3044bbd041fe7079f1b6807a51bdf26f42c748"  # git's id of frozen_inference_graph_face.pb
BATCH = 16  # frames, as in the thesis

_OUTPUTS = ("detection_boxes:0", "detection_scores:0", "num_detections:0")

logger = logging.getLogger(__name__)


class TensorFlowDetector:
    """Runs a frozen graph with TensorFlow; see `FaceDetector`.

    threads: threads of TensorFlow where it runs on the processor.
    frozen_graph: a file with the inputs and outputs of `frozen_inference_graph_face.pb`; the embedded network when
    None.
    Raises ValueError when TensorFlow is not installed or torch is loaded in this process, FileNotFoundError when
    there is no such file.
    """

    engine = "tensorflow"
    longest = 0

    def __init__(self, threads: int = 1, frozen_graph: Path | None = None) -> None:
        if find_spec("tensorflow") is None:
            raise ValueError(
                "TensorFlow is not installed: pip install 'ffpp-prep[tensorflow]', or engine litert"
            )
        if "torch" in sys.modules:
            raise ValueError(
                "engine tensorflow can't run in a process that has loaded torch: use engine litert"
            )
        self.threads = threads
        self.frozen_graph = frozen_graph
        self.weights_sha256 = WEIGHTS_SHA256 if frozen_graph is None else _check_graph_file(frozen_graph)
        self._session: _Session | None = None

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame: uint8 (N, H, W, 3), RGB."""
        check_frames(frames)
        if self._session is None or self._session.process != os.getpid():
            self._session = _Session(self.threads, self.frozen_graph)
        detections: list[Detections] = []
        for start in range(0, len(frames), BATCH):
            detections += self._session.detect(frames[start : start + BATCH])
        return detections

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}


class _Session:
    """What belongs to one process."""

    def __init__(self, threads: int, frozen_graph: Path | None) -> None:
        tf = import_tensorflow()
        self.process = os.getpid()
        if frozen_graph is None:
            content = build_frozen_graph(build_network(load_weights()))
        else:
            content = frozen_graph.read_bytes()
        graph = tf.Graph()
        with graph.as_default():
            try:
                tf.import_graph_def(tf.compat.v1.GraphDef.FromString(content), name="")
                self.outputs = [graph.get_tensor_by_name(name) for name in _OUTPUTS]
                self.input = graph.get_tensor_by_name("image_tensor:0")
            except Exception as error:
                if frozen_graph is None:
                    raise
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ValueError(
                    f"{frozen_graph}: not a frozen graph of the face detector: {reason}"
                ) from error
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        config.gpu_options.allow_growth = True
        with native_messages_to_log():
            self.session = tf.compat.v1.Session(graph=graph, config=config)
            self.session.run(self.outputs, {self.input: np.zeros((1, 8, 8, 3), np.uint8)})

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        height, width = frames.shape[1:3]
        size = np.array([width, height, width, height], np.float32)
        boxes, scores, counts = self.session.run(self.outputs, {self.input: frames})
        return [
            Detections(boxes[index, :count][:, [1, 0, 3, 2]] * size, scores[index, :count])
            for index, count in enumerate(counts.astype(int))
        ]


def _check_graph_file(path: Path) -> str:
    """Returns the SHA-256 of a frozen graph; logs when it is not the file that the thesis used."""
    if not path.is_file():
        raise FileNotFoundError(f"no frozen graph at {path}")
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if blob != THESIS_GRAPH_BLOB:
        logger.warning(
            "%s is not the thesis's graph: git blob id %s, expected %s", path, blob, THESIS_GRAPH_BLOB
        )
    return hashlib.sha256(content).hexdigest()
