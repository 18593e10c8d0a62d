"""A trained run for other programs: an ONNX file, or a folder of safetensors, with its card, checked before it exists.

The written file is loaded again and compared with the network on crops of the run's own data. If a logit deviates,
nothing is kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dfd_train.calibration.card import METADATA_KEY, DetectorCard
from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.engine.precision import compare_on_validation
from dfd_train.engine.validation import validate_models
from dfd_train.errors import UserError
from dfd_train.export.card import card_of
from dfd_train.export.compared import deviation_of, real_images
from dfd_train.export.folder import check_folder, safetensors_logits, write_safetensors
from dfd_train.export.onnx import OnnxNetwork, onnx_logits, write_onnx
from dfd_train.models.inference import Ready, for_inference
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.files import replacing

CROPS = 16
RANGE_VIDEOS, RANGE_FRAMES = 64, 4  # whose crops show the ranges of int8


@dataclass(frozen=True)
class Export:
    """What was written, and how close it is to the network."""

    path: Path
    card: DetectorCard
    crops: int
    """how many crops the written network was compared on"""
    deviation: float
    """the largest of a logit"""
    check: PrecisionCheck | None = None
    """of int8: what it changes on the validation videos"""


def export_run(run: Path, out: Path, data: Path | None = None, trust: Sequence[str] = ()) -> Export:
    """Writes a run's best network to `out`: a file that ends in .onnx, or else a folder of safetensors.

    `data` is a prepared set to compare on instead of the run's own. `trust`: as `load_model`.

    Raises: FileNotFoundError, UserError for a run or data that are missing, a network that cannot be written so, and
    where what would be written deviates from the network.
    """
    model = load_model(run, trust=trust)
    validate_models([run], trust=trust)
    card = card_of(run, model)
    images = real_images(model, data, CROPS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-export-") as name:
        temporary = Path(name)
        if out.suffix == ".onnx":
            write_onnx(model, card, temporary / "model.onnx")
            deviation = deviation_of(model.detector.network, onnx_logits(temporary / "model.onnx"), images)
            with replacing(out) as file:
                file.write((temporary / "model.onnx").read_bytes())
        else:
            check_folder(out)
            write_safetensors(model, card, temporary)
            deviation = deviation_of(model.detector.network, safetensors_logits(temporary), images)
            out.mkdir(exist_ok=True)
            for written in sorted(temporary.iterdir()):
                written.replace(out / written.name)
    return Export(out, card, len(images), deviation)


def export_int8(run: Path, out: Path, data: Path | None = None, trust: Sequence[str] = ()) -> Export:
    """Writes a run's best network as an ONNX file that computes in 8-bit integers, on processors only.

    The ranges of its activations are those of crops of the run's validation videos, or of `data`'s. Then all of the
    run's validation crops are scored with it: what that changes stands in the file's card. `trust`: as `load_model`.

    Raises: as `export_run`; UserError where the validation videos are not at hand.
    """
    if out.suffix != ".onnx":
        raise UserError(f"--out is {out}; allowed with --int8: FILE.onnx")
    model = load_model(run, trust=trust)
    validate_models([run], trust=trust)
    card = card_of(run, model)
    images = real_images(model, data, RANGE_VIDEOS, RANGE_FRAMES)
    fused = replace(model, detector=for_inference(model.detector, precision="fp32").detector)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-export-") as name:
        plain, written = Path(name, "fp32.onnx"), Path(name, "int8.onnx")
        write_onnx(fused, card, plain)
        from reseption_models.onnx_file import describe_onnx
        from reseption_models.quantization import quantize_onnx

        quantize_onnx(plain, written, list(torch.split(images, CROPS)))
        network = OnnxNetwork(written)
        with torch.inference_mode():
            found, expected = (each.detector.network(images).flatten() for each in (network.of(model), fused))
        check = compare_on_validation(
            run, model, Ready(network.of(model).detector, precision="int8"), torch.device("cpu")
        )
        card = replace(card, precision="int8", checks=(*card.checks, check))
        describe_onnx(written, {METADATA_KEY: card.to_json()})
        with replacing(out) as file:
            file.write(written.read_bytes())
    return Export(out, card, len(images), float((found - expected).abs().max()), check)
