"""The thesis's SSD in torch."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffpp_prep.detector.interface import Detections, check_frames
from ffpp_prep.detector.layers import LayeredNetwork
from ffpp_prep.detector.network import INPUT_SIZE, PREDICTION_SIZE, build_network
from ffpp_prep.detector.on_torch.device import BATCH, Device
from ffpp_prep.detector.on_torch.overlaps import leaders, overlaps
from ffpp_prep.detector.on_torch.pictures import resized
from ffpp_prep.detector.postprocess import (
    CENTRE_SCALE,
    IOU_THRESHOLD,
    LOWEST_LOGIT,
    MAX_DETECTIONS,
    SIZE_SCALE,
)
from ffpp_prep.detector.weights import WEIGHTS_SHA256, load_weights
from ffpp_prep.settings import Precision, engine_name

_BLOCK = 512  # candidates looked at together; the result does not depend on it


class TorchSSD:
    """Runs the embedded network on a GPU, or on the processor where there is none; see `FaceDetector`.

    Args:
        precision: of the network's numbers.
        threads: of the processor, where that runs it.
    """

    longest = 0
    weights_sha256 = WEIGHTS_SHA256

    def __init__(self, precision: Precision = "fp32", threads: int = 1) -> None:
        self.engine = engine_name("torch", precision)
        self._precision, self._threads = precision, threads
        self._session: _Session | None = None

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        """Returns the faces of each frame: uint8 (N, H, W, 3), RGB."""
        check_frames(frames)
        if self._session is None or self._session.process != os.getpid():
            self._session = _Session(Device(self._precision, self._threads))
        found: list[Detections] = []
        for start in range(0, len(frames), BATCH):
            found += self._session.detect(frames[start : start + BATCH])
        return found

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}


class _Session:
    """What belongs to one process."""

    def __init__(self, device: Device) -> None:
        self.process = os.getpid()
        self._device = device
        network = build_network(load_weights())
        self._network = device.network(LayeredNetwork(network.convolutions, network.predictions))
        self._anchors = torch.from_numpy(network.anchors).to(device.place)

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        height, width = frames.shape[1:3]
        with self._device.exact():
            pictures = resized(self._device.frames(frames), INPUT_SIZE)
            maps = self._device.run(self._network, pictures)
            predictions = torch.cat([one.reshape(len(frames), -1, PREDICTION_SIZE) for one in maps], 1)
            found = faces_of(predictions, self._anchors).cpu().numpy()
        size = np.array([width, height, width, height], np.float32)
        counts = np.isfinite(found[:, :, 4]).sum(axis=1)
        return [
            Detections(one[:count, [1, 0, 3, 2]] * size, _scores(one[:count, 4]))
            for one, count in zip(found, counts, strict=True)
        ]


def faces_of(predictions: Tensor, anchors: Tensor) -> Tensor:
    """Returns boxes and logits, best first, (N, 100, 5) ymin, xmin, ymax, xmax, logit, as `postprocess` chooses
    them; the logit is -inf where there are fewer.

    Args:
        predictions: float32 (N, A, 5), ty, tx, th, tw and the logit of an anchor.
        anchors: float32 (A, 4), ymin, xmin, ymax, xmax.
    """
    logits, order = predictions[:, :, 4].sort(dim=1, descending=True, stable=True)
    boxes = _decoded(predictions[:, :, :4], anchors).gather(1, order[:, :, None].expand(-1, -1, 4))
    visible = (boxes[:, :, 2:] > boxes[:, :, :2]).all(2)
    kept = torch.zeros_like(visible)
    for start in range(0, kept.shape[1], _BLOCK):
        end = start + _BLOCK
        block = boxes[:, start:end]
        before = (overlaps(boxes[:, :start], block) > IOU_THRESHOLD) & kept[:, :start, None]
        kept[:, start:end] = leaders(
            overlaps(block, block) > IOU_THRESHOLD, visible[:, start:end] & ~before.any(1)
        )
        if (kept.sum(1) >= MAX_DETECTIONS).all():
            break
    first = kept.long().argsort(dim=1, descending=True, stable=True)[:, :MAX_DETECTIONS]
    chosen = logits.masked_fill(~kept, -torch.inf).gather(1, first)
    return torch.cat([boxes.gather(1, first[:, :, None].expand(-1, -1, 4)), chosen[:, :, None]], 2)


def _decoded(codes: Tensor, anchors: Tensor) -> Tensor:
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = codes[:, :, :2] / CENTRE_SCALE * sizes + (anchors[:, :2] + anchors[:, 2:]) / 2
    halves = (codes[:, :, 2:] / SIZE_SCALE).exp() * sizes / 2
    return torch.cat([centres - halves, centres + halves], 2).clamp(0, 1)


def _scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = 1 / (1 + np.exp(-np.maximum(logits, LOWEST_LOGIT)))
    return scores.astype(np.float32)
