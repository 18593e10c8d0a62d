"""Where and how exactly torch runs a detector, and what its detectors have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffpp_prep.detector.interface import Detections, check_frames
from ffpp_prep.detector.layers import LayeredNetwork
from ffpp_prep.detector.on_torch.network import TorchNetwork
from ffpp_prep.settings import Precision, engine_name

BATCH = 16  # frames

_DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Device:
    """One GPU, the first that this process sees, or the processor where it sees none.

    Args:
        precision: in which networks are run; pictures, boxes and scores are float32 in any case.
        threads: of the processor; a GPU needs none.
    """

    def __init__(self, precision: Precision, threads: int) -> None:
        self.place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = _DTYPES[precision]
        if self.place.type == "cpu":
            torch.set_num_threads(threads)

    def network(self, layers: LayeredNetwork) -> TorchNetwork:
        """Returns the network on the device."""
        network = TorchNetwork(layers).eval().to(self.place, self.dtype)
        return network.to(memory_format=torch.channels_last)

    def run(self, network: TorchNetwork, pictures: Tensor) -> list[Tensor]:
        """Returns what a network says of pictures (N, 3, H, W): float32, (N, cells, channels) each."""
        outputs = network(pictures.to(self.dtype, memory_format=torch.channels_last))
        return [output.float().flatten(1, 2) for output in outputs]

    def frames(self, frames: NDArray[np.uint8]) -> Tensor:
        """Returns frames on the device; those in pinned memory are copied while the processor goes on."""
        return torch.from_numpy(np.require(frames, requirements=["C", "W"])).to(self.place, non_blocking=True)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Makes torch compute meanwhile in float32 where it says so: no TF32, and nothing is kept for gradients."""
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield


class TorchDetector:
    """Runs embedded networks on a GPU, or on the processor where there is none; see `FaceDetector`.

    Args:
        precision: of the networks' numbers.
        threads: of the processor, where that runs them.
    """

    longest: int
    weights_sha256: str
    session: ClassVar[type[Any]]
    """what belongs to one process, made of its `Device`"""

    def __init__(self, precision: Precision = "fp32", threads: int = 1) -> None:
        self.engine = engine_name("torch", precision)
        self._precision, self._threads = precision, threads
        self._session: Any = None
        self._process = 0

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame, uint8 (N, H, W, 3), RGB."""
        check_frames(frames)
        if self._session is None or self._process != os.getpid():
            self._session, self._process = self.session(Device(self._precision, self._threads)), os.getpid()
        found: list[Detections] = []
        for start in range(0, len(frames), BATCH):
            found += self._session.detect(frames[start : start + BATCH])
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}


def pin(memory: NDArray[np.uint8], *, pinned: bool) -> None:
    """Pins memory that a GPU then reads by itself, or lets it go; what can't be pinned is read all the same."""
    if torch.cuda.is_available():
        runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        if pinned:
            runtime.cudaHostRegister(memory.ctypes.data, memory.nbytes, 0)
        else:
            runtime.cudaHostUnregister(memory.ctypes.data)
