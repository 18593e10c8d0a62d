"""A network as a folder of safetensors, in the format of reseption-models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dfd_train.calibration.card import CARD_FILE, DetectorCard
from dfd_train.errors import UserError
from dfd_train.export.card import is_ours, network_card
from dfd_train.export.compared import Logits
from dfd_train.runs.checkpoint import TrainedModel
from dfd_train.runs.files import write_atomically


def check_folder(out: Path) -> None:
    """Refuses a place that holds something other than an export."""
    if out.suffix in (".safetensors", ".pt", ".pth") or (out.exists() and not out.is_dir()):
        raise UserError(f"--out is {out}; allowed: FILE.onnx, or a folder for safetensors")
    if out.is_dir() and any(out.iterdir()) and not (out / CARD_FILE).is_file():
        raise UserError(f"{out} holds something other than an export: choose another --out")


def write_safetensors(model: TrainedModel, card: DetectorCard, folder: Path) -> None:
    """Writes the network with both cards. Raises: UserError where reseption-models can't build it anew."""
    from reseption_models import save_pretrained

    network: Any = model.detector.network
    if not is_ours(network):
        raise UserError(
            f"{card.model} is not of reseption-models alone, whose format the folder has; allowed: --out FILE.onnx"
        )
    save_pretrained(network, folder, network_card(model, card))
    write_atomically(folder / CARD_FILE, f"{card.to_json()}\n".encode())


def safetensors_logits(folder: Path) -> Logits:
    """Returns the logits that a written folder gives."""
    from reseption_models import from_pretrained

    network = from_pretrained(folder)

    def logits(images: Tensor) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = network(images).flatten().numpy()
        return found

    return logits
