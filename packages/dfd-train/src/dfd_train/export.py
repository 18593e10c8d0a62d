"""A trained run for other programs: an ONNX file, or a folder of safetensors, with its card, checked before it exists.

The written file is loaded again and compared with the network on crops of the run's own data. If a logit deviates,
nothing is kept.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfd_train.calibration.card import CARD_FILE, INPUT, METADATA_KEY, OUTPUT, DetectorCard
from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.kept import run_calibration
from dfd_train.calibration.learned import Calibration
from dfd_train.calibration.precision import kept_checks
from dfd_train.data.fitting import fit
from dfd_train.data.selection import in_split, select_videos
from dfd_train.data.spec import CropRule
from dfd_train.data.transforms import normalize
from dfd_train.engine.precision import compare_on_validation
from dfd_train.engine.score import require_numbers
from dfd_train.engine.validation import validate_models
from dfd_train.errors import UserError, first_line
from dfd_train.models.inference import Ready, for_inference
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.files import replacing, write_atomically
from dfd_train.runs.folder import DEMONSTRATION
from dfd_train.runs.trained_on import run_detector, run_geometry, run_licence, run_training_data
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.joined import open_sets

if TYPE_CHECKING:
    from reseption_models import ModelCard

TOLERANCE = 1e-4  # relative to the larger of 1 and the logits
CROPS = 16
RANGE_VIDEOS, RANGE_FRAMES = 64, 4  # whose crops show the ranges of int8

Logits = Callable[[Tensor], npt.NDArray[np.float32]]


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
    card = _card(run, model, run_calibration(run))
    images = _real_images(model, data)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-export-") as name:
        temporary = Path(name)
        if out.suffix == ".onnx":
            _write_onnx(model, card, temporary / "model.onnx")
            deviation = _deviation(model.detector.network, _onnx_logits(temporary / "model.onnx"), images)
            with replacing(out) as file:
                file.write((temporary / "model.onnx").read_bytes())
        else:
            _check_folder(out)
            _write_safetensors(model, card, temporary)
            deviation = _deviation(model.detector.network, _safetensors_logits(temporary), images)
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
    card = _card(run, model, run_calibration(run))
    images = _real_images(model, data, RANGE_VIDEOS, RANGE_FRAMES)
    fused = replace(model, detector=for_inference(model.detector, precision="fp32").detector)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-export-") as name:
        plain, written = Path(name, "fp32.onnx"), Path(name, "int8.onnx")
        _write_onnx(fused, card, plain)
        from reseption_models.onnx_file import describe_onnx
        from reseption_models.quantization import quantize_onnx

        quantize_onnx(plain, written, list(torch.split(images, CROPS)))
        network = _OnnxNetwork(written)
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


class _OnnxNetwork(nn.Module):
    """An ONNX file in the place of a network."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._logits = _onnx_logits(path)

    def of(self, model: TrainedModel) -> TrainedModel:
        """Returns the model with this network."""
        return replace(model, detector=replace(model.detector, network=self))

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits (N, 1) of images."""
        return torch.from_numpy(self._logits(images))[:, None]


def _card(run: Path, model: TrainedModel, calibration: Calibration | None) -> DetectorCard:
    spec, published = model.detector.spec, model.card
    geometry = published.crop if published else _as_rule(run_geometry(run))
    return DetectorCard(
        model=model.facts.config.model.name,
        input_size=spec.size,
        mean=spec.mean,
        std=spec.std,
        threshold=calibration.plain_threshold if calibration else 0.5,
        temperature=calibration.temperature if calibration else 1.0,
        calibrated_on="validation" if calibration else "nothing",
        demonstration=model.facts.demonstration,
        margin=geometry.margin,
        border="pad" if geometry.border == "pad" else "clip",
        crop_size=geometry.size,
        align=geometry.align,
        detector=run_detector(run),
        checkpoint_sha256=sha256_of(model.path),
        fit=spec.fit,
        interpolation=spec.interpolation,
        shorter=spec.shorter,
        rule=geometry.rule,
        whole_pixels=geometry.whole_pixels,
        template=geometry.template,
        scale=geometry.scale,
        pooling=published.video.pool if published else "mean",
        remarks=published.sentences() if published else (),
        calibration=calibration,
        checks=kept_checks(run),
        licence=published.licence if published else run_licence(run),
        trained_on=", ".join(published.trained_on) if published else run_training_data(run),
    )


def _as_rule(geometry: CropGeometry) -> CropRule:
    return CropRule(geometry.margin, geometry.border, geometry.size, geometry.align)


def _real_images(model: TrainedModel, data: Path | None, count: int = CROPS, frames: int = 1) -> Tensor:
    """Returns network inputs (N, 3, S, S): frames of validation videos, or of all where there are none, spaced."""
    try:
        prepared = model.crops_of(open_sets(model.works(data)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; to compare on crops of another prepared set: --data WORK"
        ) from None
    split = "all" if in_split(prepared.videos, "val").empty else "val"  # footage of one's own has no splits
    drop = model.facts.config.data.multiple_faces == "drop"  # of several, any face will do to compare numbers
    videos = select_videos(prepared.videos, split, multiple_faces="drop" if drop else "keep").videos
    places = np.unique(np.linspace(0, len(videos) - 1, count).round().astype(int))
    crops = [
        prepared.read_crop_at(row, prepared.length(row) * (2 * number + 1) // (2 * frames))
        for row in map(int, videos.index[places])
        for number in range(frames)
    ]
    spec = model.detector.spec
    return normalize(torch.stack([fit(crop, spec) for crop in crops]), spec)


def _write_onnx(model: TrainedModel, card: DetectorCard, path: Path) -> None:
    try:
        import onnxruntime  # noqa: F401  # the comparison needs it
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise UserError(f"export to ONNX needs {error.name}: pip install 'dfd-train[onnx]'") from None
    from reseption_models.export import CARD_KEY
    from reseption_models.onnx_file import write_onnx
    from reseption_models.weights import describe

    network, metadata = model.detector.network, {METADATA_KEY: card.to_json()}
    if _is_ours(network):
        metadata[CARD_KEY] = json.dumps(describe(network, _network_card(model, card)))  # type: ignore[arg-type]
    try:
        traced = _trace(network, model.detector.spec.size)
        write_onnx(
            traced, path, metadata, description=f"This is a {DEMONSTRATION}." if card.demonstration else ""
        )
    except Exception as error:  # whatever the exporter meets in a network that it cannot trace
        if _is_ours(network):
            raise
        raise UserError(f"torch cannot export this {type(network).__name__}: {first_line(error)}") from None


def _trace(network: nn.Module, size: int) -> torch.export.ExportedProgram:
    """Traces the network for batches of any size."""
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        return torch.export.export(network, (torch.zeros(2, 3, size, size),), dynamic_shapes=({0: batch},))


def _onnx_logits(path: Path) -> Logits:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def logits(images: Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = session.run([OUTPUT], {INPUT: images.numpy()})[0].flatten()
        return found

    return logits


def _write_safetensors(model: TrainedModel, card: DetectorCard, folder: Path) -> None:
    from reseption_models import save_pretrained

    network: Any = model.detector.network
    if not _is_ours(network):
        raise UserError(
            f"{card.model} is not of reseption-models alone, whose format the folder has; allowed: --out FILE.onnx"
        )
    save_pretrained(network, folder, _network_card(model, card))
    write_atomically(folder / CARD_FILE, f"{card.to_json()}\n".encode())


def _network_card(model: TrainedModel, card: DetectorCard) -> ModelCard:
    """Returns what reseption-models writes beside the weights: input, threshold and temperature of the card."""
    own: ModelCard = model.detector.network.card  # type: ignore[assignment]
    trained_on = f"a prepared set with fingerprint {model.facts.fingerprint}"
    if card.demonstration:
        trained_on = f"sample data: {DEMONSTRATION}"
    return replace(
        own,
        mean=card.mean,
        std=card.std,
        color="RGB",
        labels=card.labels,
        threshold=card.threshold,
        temperature=card.temperature,
        training_data=trained_on,
        licence=card.licence or own.licence,
    )


def _safetensors_logits(folder: Path) -> Logits:
    from reseption_models import from_pretrained

    network = from_pretrained(folder)

    def logits(images: Tensor) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = network(images).flatten().numpy()
        return found

    return logits


def _is_ours(network: nn.Module) -> bool:
    """Returns whether reseption-models can build it anew.

    It can't an ensemble with members of another family, nor a network with an adapter or a normalised head.
    """
    from reseption_models import Reseption, ReseptionEnsemble

    own = all(
        type(module).__module__.split(".")[0] in ("torch", "reseption_models") for module in network.modules()
    )
    return isinstance(network, Reseption | ReseptionEnsemble) and network.config is not None and own


def _check_folder(out: Path) -> None:
    """Refuses a place that holds something other than an export."""
    if out.suffix in (".safetensors", ".pt", ".pth") or (out.exists() and not out.is_dir()):
        raise UserError(f"--out is {out}; allowed: FILE.onnx, or a folder for safetensors")
    if out.is_dir() and any(out.iterdir()) and not (out / CARD_FILE).is_file():
        raise UserError(f"{out} holds something other than an export: choose another --out")


def _deviation(network: nn.Module, written: Logits, images: Tensor) -> float:
    """Returns a logit's largest deviation, all crops at once and one alone. Raises: UserError: too large."""
    largest = 0.0
    for batch in (images, images[:1]):
        with torch.inference_mode():
            expected = require_numbers(network(batch).flatten().numpy(), "this network")
        deviation = float(np.abs(expected - written(batch)).max())
        allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        if not deviation <= allowed:
            raise UserError(
                f"nothing written: a logit of the exported network deviates by {deviation:.2g} on the run's own "
                f"crops; allowed: {allowed:.2g}"
            )
        largest = max(largest, deviation)
    return largest
