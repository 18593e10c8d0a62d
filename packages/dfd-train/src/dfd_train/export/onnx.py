"""A network as an ONNX file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfd_train.calibration.card import INPUT, METADATA_KEY, OUTPUT, DetectorCard
from dfd_train.errors import UserError, first_line
from dfd_train.export.card import is_ours, network_card
from dfd_train.export.compared import Logits
from dfd_train.runs.checkpoint import TrainedModel
from dfd_train.runs.folder import DEMONSTRATION


def write_onnx(model: TrainedModel, card: DetectorCard, path: Path) -> None:
    """Writes the network with its card, for batches of any size.

    Raises: UserError where an extra is missing, or torch can't export a network that isn't ours.
    """
    try:
        import onnxruntime  # noqa: F401  # the comparison needs it
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise UserError(f"export to ONNX needs {error.name}: pip install 'dfd-train[onnx]'") from None
    from reseption_models import onnx_file
    from reseption_models.config_file import describe
    from reseption_models.export import CARD_KEY

    network, metadata = model.detector.network, {METADATA_KEY: card.to_json()}
    if is_ours(network):
        metadata[CARD_KEY] = json.dumps(describe(network, network_card(model, card)))  # type: ignore[arg-type]
    try:
        traced = _trace(network, model.detector.spec.size)
        onnx_file.write_onnx(
            traced, path, metadata, description=f"This is a {DEMONSTRATION}." if card.demonstration else ""
        )
    except Exception as error:  # whatever the exporter meets in a network that it cannot trace
        if is_ours(network):
            raise
        raise UserError(f"torch cannot export this {type(network).__name__}: {first_line(error)}") from None


def _trace(network: nn.Module, size: int) -> torch.export.ExportedProgram:
    """Traces the network for batches of any size."""
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        return torch.export.export(network, (torch.zeros(2, 3, size, size),), dynamic_shapes=({0: batch},))


def onnx_logits(path: Path) -> Logits:
    """Returns the logits that a written file gives, by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def logits(images: Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = session.run([OUTPUT], {INPUT: images.numpy()})[0].flatten()
        return found

    return logits


class OnnxNetwork(nn.Module):
    """An ONNX file in the place of a network."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._logits = onnx_logits(path)

    def of(self, model: TrainedModel) -> TrainedModel:
        """Returns the model with this network."""
        return replace(model, detector=replace(model.detector, network=self))

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits (N, 1) of images."""
        return torch.from_numpy(self._logits(images))[:, None]
