"""BlazeFace and the face mesh in torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffpp_prep.detector.blazeface import LEAST, MOST_FACES, BlazeFaceDetector
from ffpp_prep.detector.blazeface_decode import SAME_FACE, SCORE_CLIP, SIDE, anchor_centres
from ffpp_prep.detector.embedded import BLAZEFACE_SHA256, FULL_RANGE, MESH
from ffpp_prep.detector.interface import Detections
from ffpp_prep.detector.layers import Floats
from ffpp_prep.detector.mesh import SIDE as MESH_SIDE
from ffpp_prep.detector.mesh import Mesh, face_square, placed_mesh
from ffpp_prep.detector.on_torch.device import BATCH, Device, TorchDetector
from ffpp_prep.detector.on_torch.overlaps import leaders, overlaps
from ffpp_prep.detector.on_torch.pictures import cut_out, fitted
from ffpp_prep.detector.sampling import TurnedSquare
from ffpp_prep.detector.ssd_framing import ssd_boxes
from ffpp_prep.detector.tflite_layers import read_layers


class _Session:
    """What belongs to one process."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._network = device.network(read_layers(FULL_RANGE))
        self._mesh = device.network(read_layers(MESH))
        self._centres = torch.from_numpy(anchor_centres()).to(device.place)

    def detect(self, frames: NDArray[np.uint8]) -> list[Detections]:
        with self._device.exact():
            pictures = self._device.frames(frames)
            scores, boxes, points = self._candidates(pictures)
            indices, places = np.nonzero(scores)
            squares = [
                face_square(boxes[i, k], points[i, k, :2]) for i, k in zip(indices, places, strict=True)
            ]
            meshes = self._meshes(pictures, indices.tolist(), squares)
        height, width = frames.shape[1:3]
        size = np.array([width, height, width, height], np.float32)
        flags = np.array([mesh.flag for mesh in meshes], np.float32)
        judged = scores[indices, places] * flags
        framed = ssd_boxes(np.stack([mesh.points for mesh in meshes])).clip(0, size)
        found = []
        for index in range(len(frames)):
            own = np.flatnonzero(indices == index)
            own = own[np.argsort(-judged[own], kind="stable")]
            found.append(Detections(framed[own], judged[own]))
        return found

    def _candidates(self, pictures: Tensor) -> tuple[Floats, Floats, Floats]:
        """Returns the faces of each picture, best first: scores (N, K), 0 where there are fewer, boxes (N, K, 4)
        and points (N, K, 6, 2), in the picture's pixels.
        """
        squares, fit = fitted(pictures, SIDE)
        outputs = {values.shape[-1]: values for values in self._device.run(self._network, squares)}
        scores, values = candidates(outputs[16], outputs[1][:, :, 0], self._centres)
        places = fit.to_picture(values.reshape(*values.shape[:2], -1, 2).cpu().numpy())
        return scores.cpu().numpy(), places[:, :, :2].reshape(*scores.shape, 4), places[:, :, 2:]

    def _meshes(
        self, pictures: Tensor, indices: Sequence[int], squares: Sequence[TurnedSquare]
    ) -> list[Mesh]:
        height, width = pictures.shape[1:3]
        cuts = [square.plan(height, width, MESH_SIDE) for square in squares]
        meshes: list[Mesh] = []
        for start in range(0, len(cuts), 2 * BATCH):
            some = slice(start, start + 2 * BATCH)
            crops = cut_out(pictures, indices[some], cuts[some], MESH_SIDE) / 255
            outputs = {one[0].numel(): one for one in self._device.run(self._mesh, crops)}
            flags = outputs.pop(1).flatten().cpu().numpy()
            (points,) = (one.flatten(1).cpu().numpy() for one in outputs.values())
            meshes += map(placed_mesh, squares[some], points, flags.tolist())
        return meshes


class TorchBlazeFace(TorchDetector):
    """BlazeFace with the face mesh; boxes are framed as the SSD's. See `TorchDetector`."""

    longest, weights_sha256, session = BlazeFaceDetector.longest, BLAZEFACE_SHA256, _Session


def candidates(regressed: Tensor, raw: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Returns scores (N, K), best first and 0 where there are fewer faces, and boxes and points (N, K, 16), in the
    network's pixels, as `blazeface_decode` chooses and averages them.

    Args:
        regressed: (N, A, 16) box's centre, width and height, and six points, relative to the anchor.
        raw: (N, A) scores.
        centres: (A, 2) of the anchors.
    """
    scores, order = raw.clamp(-SCORE_CLIP, SCORE_CLIP).sigmoid().sort(dim=1, descending=True, stable=True)
    counted = scores >= LEAST
    counted[:, 0] = True
    most = int(counted.sum(1).max())
    scores, counted, order = scores[:, :most], counted[:, :most], order[:, :most]
    values = regressed.gather(1, order[:, :, None].expand(-1, -1, 16)).reshape(*order.shape, -1, 2)
    places = centres[order]
    middles, halves = values[:, :, 0] + places, values[:, :, 1] / 2
    corners = torch.stack([middles - halves, middles + halves], 2)
    values = torch.cat([corners, values[:, :, 2:] + places[:, :, None]], 2).flatten(2)
    same = overlaps(values[:, :, :4], values[:, :, :4]) > SAME_FACE
    lead = leaders(same, counted)
    same |= torch.eye(most, dtype=torch.bool, device=same.device)  # even a box without an area
    led = same.triu() & lead[:, :, None] & counted[:, None]
    led &= led.cumsum(1) == 1  # by the best one
    weights = led * scores[:, None]
    averaged = weights @ values / weights.sum(2, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    first = lead.long().argsort(dim=1, descending=True, stable=True)[:, :MOST_FACES]
    return (scores * lead).gather(1, first), averaged.gather(1, first[:, :, None].expand(-1, -1, 16))
