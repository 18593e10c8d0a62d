"""The thesis's SSD in torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffpp_prep.detector.interface import Detections
from ffpp_prep.detector.layers import LayeredNetwork
from ffpp_prep.detector.network import INPUT_SIZE, PREDICTION_SIZE, build_network
from ffpp_prep.detector.on_torch.device import Device, TorchDetector
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

_BLOCK = 512  # candidates looked at together; the result does not depend on it


class _Session:
    """What belongs to one process."""

    def __init__(self, device: Device) -> None:
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


class TorchSSD(TorchDetector):
    """The thesis's SSD; see `TorchDetector`."""

    longest, weights_sha256, session = 0, WEIGHTS_SHA256, _Session


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
