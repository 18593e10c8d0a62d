"""Whatever a model is kept as (run folder, safetensors folder, ONNX file): face crops in, raw logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd_train.calibration.card import CARD_FILE, INPUT, METADATA_KEY, OUTPUT, DetectorCard
from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.kept import run_calibration
from dfd_train.calibration.learned import Calibration, from_probabilities
from dfd_train.calibration.precision import (
    find_check,
    kept_checks,
    require_bf16_checked,
)
from dfd_train.calibration.score import OVER, DeployedScore
from dfd_train.data.fitting import fit
from dfd_train.data.spec import InputSpec
from dfd_train.data.transforms import normalize
from dfd_train.engine.device import choose_device
from dfd_train.engine.learner import autocast
from dfd_train.engine.score import require_numbers, seconds_a_crop
from dfd_train.errors import UserError
from dfd_train.models.build import Detector
from dfd_train.models.inference import Ready, for_inference, require_bf16
from dfd_train.predict.onnx_trial import try_onnx
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.trained_on import run_detector, run_geometry, run_licence, run_training_data
from dfd_train.settings.sections import Precision
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.geometry import CropGeometry, Image
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import duration_text

SLOW = 0.2  # seconds a crop, above which a person is told beforehand
BATCH = 32  # crops through a network at once, from however many frames


@dataclass(frozen=True)
class Facts:
    """What is known of a model besides its weights."""

    name: str
    """for people"""
    kind: str
    """run, adopted, weights or onnx"""
    path: Path
    sha256: str
    """of the file of its weights"""
    spec: InputSpec
    geometry: CropGeometry
    """how the crops that it was trained on derive from face boxes"""
    detector: str
    """which one found the faces of its training data: ssd or blazeface; empty: neither"""
    demonstration: bool
    """trained on sample data: nothing that it says is evidence"""
    calibration: Calibration | None
    """what its validation videos taught; None: nothing is known of its errors, so it gives no verdict"""
    plain: DeployedScore = field(default_factory=DeployedScore)
    """how its logits are read where there is no calibration"""
    unfinished: str = ""
    """how far the run came that has not finished; empty where it has, and of exports, which don't say"""
    remarks: tuple[str, ...] = ()
    """of a published detector, sentences that stand on each page: its licence, what it learned from, how it is fed"""
    licence: str = ""
    """of the weights; empty where nobody said; so the next"""
    trained_on: str = ""
    device: str = "cpu"
    precision: str = "fp32"
    """in which it computes: fp32, bf16, int8, or the mixed precision of its training"""
    checked: str = ""
    """what came of comparing that with fp32 on its validation videos, one sentence; empty where there was no need"""

    @property
    def score(self) -> DeployedScore:
        """How the model's logits become a score."""
        return self.calibration.score if self.calibration else self.plain

    @property
    def temperature(self) -> float:
        """What divides its logits, for people; a scale that is no temperature alone says more."""
        return self.score.frame_temperature * self.score.scale.temperature

    @property
    def threshold(self) -> float | None:
        """The probability of the best balanced accuracy over its validation videos, where there are any."""
        return self.calibration.threshold if self.calibration else None


class Scorer(Protocol):
    """A model ready to score."""

    @property
    def facts(self) -> Facts:
        """What is known of the model."""
        ...

    def logits(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Returns one raw logit a crop, (N,) float32, positive for fake, of crops uint8 (h, w, 3) RGB of any sizes.

        Raises: NotANumber where there is none.
        """
        ...


def load_scorer(
    path: Path, device: str = "auto", trust: Sequence[str] = (), precision: Precision | None = None
) -> Scorer:
    """Returns the model that a path names: a folder of a run, an adopted detector or safetensors weights, or
    an ONNX file.

    Nothing is scored nor written: a run that was not validated gives no verdicts (`engine.validation`).

    device: auto, cpu or cuda; ONNX files run on the processor. trust: as `load_model`.
    precision: unset: as it was validated, or exported; bf16 after `validate_models` has compared it.
    Raises: FileNotFoundError, UserError where there is none or it cannot be read, or it may not compute in bf16.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"no such model: {path}; a model is a folder that `dfd-train run --out` or `dfd-train adopt` wrote, or an "
            "export of one"
        )
    if path.is_file() and path.suffix == ".onnx":
        scorer = OnnxScorer(path)
        if precision not in (None, scorer.facts.precision):
            raise UserError(
                f"precision is {precision}: {path} computes in {scorer.facts.precision}, as it was exported; allowed: "
                "the run's folder"
            )
        return scorer
    if RunFolder(path).is_run or RunFolder(path).is_adopted:
        return _run_scorer(path, device, trust, precision)
    if path.is_dir() and (path / "model.safetensors").is_file():
        return _weights_scorer(path, device, precision)
    raise UserError(
        f"{path} is no model; allowed: a run folder (config.toml, checkpoints/best.pt), "
        "a folder of `dfd-train adopt`, a folder of weights (model.safetensors, config.json), a file exported as .onnx"
    )


class TorchScorer:
    """A network of torch."""

    def __init__(self, facts: Facts, ready: Ready, device: torch.device) -> None:
        self.facts, self.device, self._amp = facts, device, ready.amp
        self.detector = replace(ready.detector, network=ready.detector.network.to(device))

    def logits(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """See `Scorer`."""
        found = []
        for start in range(0, len(crops), BATCH):
            images = _images(crops[start : start + BATCH], self.facts.spec)
            images = images.to(self.device, memory_format=torch.channels_last)
            with torch.inference_mode(), autocast(self.device, self._amp):
                found.append(self.detector.network(images).flatten().float().cpu().numpy())
        return _numbers(found, self.facts)

    def time_said(self) -> str:
        """Says how long a published detector, which may be large, takes; empty where that is not worth a word."""
        if self.facts.kind != "adopted":
            return ""
        seconds = seconds_a_crop(self.detector.network, self.facts.spec, self.device, self._amp)
        if seconds < SLOW:
            return ""
        minute = duration_text(120 * seconds)
        return (
            f"{self.facts.name}: {seconds:.1f} s a face and frame on this {self.device.type}; a minute of video with "
            f"one face, 2 frames a second, takes about {minute}"
        )


class OnnxScorer:
    """A network exported by `dfd-train export`, run by ONNX Runtime; no code of the model is needed.

    Raises: UserError where the runtime is not installed, or the file is damaged or carries no metadata.
    """

    def __init__(self, path: Path) -> None:
        from reseption_models.files import check_is_file
        from reseption_models.onnx_file import check_onnx

        try:
            import onnxruntime
        except ImportError:
            raise UserError(f"{path} needs ONNX Runtime: pip install 'dfd-train[onnx]'") from None
        check_is_file(path)
        check_onnx(path)
        try_onnx(path)
        try:
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions share no base class
            raise UserError(f"{path}: not a readable ONNX file ({type(error).__name__})") from None
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise UserError(f"{path} carries no metadata of `dfd-train export`: export the run again")
        self.facts = _card_facts(DetectorCard.from_json(text, path), "onnx", path, sha256_of(path))

    def logits(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """See `Scorer`."""
        found = [
            self._session.run(
                [OUTPUT], {INPUT: _images(crops[start : start + BATCH], self.facts.spec).numpy()}
            )[0]
            for start in range(0, len(crops), BATCH)
        ]
        return _numbers(found, self.facts)


def _run_scorer(
    path: Path, device_name: str, trust: Sequence[str], precision: Precision | None
) -> TorchScorer:
    device = choose_device(device_name)
    model = load_model(path, device, trust)
    calibration = run_calibration(path)
    ready = for_inference(model.detector, model.facts.config.optimizer.amp, precision)
    facts = Facts(
        name=printable(f"{path.resolve().name} ({model.facts.config.model.name})"),
        kind="run" if model.card is None else "adopted",
        path=path,
        sha256=sha256_of(RunFolder(path).best),
        spec=model.detector.spec,
        geometry=run_geometry(path) if model.card is None else model.card.crop.plain,
        detector=run_detector(path) if model.card is None else "",  # its authors had a finder of their own
        demonstration=model.facts.demonstration,
        calibration=calibration,
        plain=DeployedScore(over=OVER[RunFolder(path).pooling]),
        unfinished=RunFolder(path).unfinished(),
        remarks=() if model.card is None else model.card.sentences(),
        licence=run_licence(path) if model.card is None else model.card.licence,
        trained_on=run_training_data(path) if model.card is None else ", ".join(model.card.trained_on),
        device=device.type,
        precision=ready.precision,
        checked=_checked(precision, kept_checks(path) if precision == "bf16" else (), device, path),
    )
    return TorchScorer(facts, ready, device)


def _checked(
    precision: Precision | None, checks: Sequence[PrecisionCheck], device: torch.device, path: Path
) -> str:
    """Returns what allows bf16, in words; empty of fp32. Raises: UserError where nothing does."""
    if precision != "bf16":
        return ""
    require_bf16(device)
    return require_bf16_checked(checks, device.type, path).sentence()


def _weights_scorer(path: Path, device_name: str, precision: Precision | None) -> TorchScorer:
    """Returns weights that `reseption_models.save_pretrained` wrote, with the card of `dfd-train export`
    where there is one.
    """
    from reseption_models import from_pretrained

    network: Any = from_pretrained(path)
    if network.num_classes != 1:
        raise UserError(
            f"{path}: the network has {network.num_classes} outputs, must be 1: the logit of fake"
        )
    sha256 = sha256_of(path / "model.safetensors")
    checks: tuple[PrecisionCheck, ...] = ()
    spec = InputSpec(network.config.input_size, tuple(network.card.mean), tuple(network.card.std))
    if (path / CARD_FILE).is_file():
        card = DetectorCard.from_json((path / CARD_FILE).read_bytes(), path / CARD_FILE)
        facts = replace(_card_facts(card, "weights", path, sha256), spec=spec)
        checks = card.checks
    else:
        facts = Facts(
            name=printable(path.resolve().name),
            kind="weights",
            path=path,
            sha256=sha256,
            spec=spec,
            geometry=CropGeometry(),
            detector="ssd",
            demonstration="demonstration" in network.card.training_data.lower(),
            calibration=None,
            plain=DeployedScore(frame_temperature=network.card.temperature),
        )
    device = choose_device(device_name)
    facts = replace(
        facts,
        licence=facts.licence or printable(network.card.licence),
        trained_on=facts.trained_on or printable(network.card.training_data),
        device=device.type,
        precision=precision or "fp32",
        checked=_checked(precision, checks, device, path),
    )
    return TorchScorer(facts, for_inference(Detector(network, spec), precision=precision), device)


def _card_facts(card: DetectorCard, kind: str, path: Path, sha256: str) -> Facts:
    return Facts(
        name=printable(f"{path.resolve().stem} ({card.model})"),
        kind=kind,
        path=path,
        sha256=sha256,
        spec=card.input,
        geometry=card.geometry,
        detector=card.detector,
        demonstration=card.demonstration,
        calibration=_card_calibration(card),
        remarks=card.remarks,
        plain=DeployedScore(over=OVER[card.pooling], frame_temperature=card.temperature),
        licence=printable(card.licence),
        trained_on=printable(card.trained_on),
        precision=card.precision,
        checked=check.sentence() if (check := find_check(card.checks, card.precision, "cpu")) else "",
    )


def _card_calibration(card: DetectorCard) -> Calibration | None:
    """Returns the run's, which its export took along; None of cards of before that."""
    if card.calibration is not None or not card.validation_real or not card.validation_fake:
        return card.calibration
    known = card.checkpoint_sha256, card.temperature, card.threshold, card.validation_videos
    return from_probabilities(*known, card.validation_real, card.validation_fake)


def _numbers(batches: list[NDArray[np.float32]], facts: Facts) -> NDArray[np.float32]:
    logits = np.concatenate([batch.reshape(-1) for batch in batches]) if batches else np.zeros(0, np.float32)
    return require_numbers(logits, facts.name)


def _images(crops: Sequence[Image], spec: InputSpec) -> Tensor:
    return normalize(torch.stack([fit(crop, spec) for crop in crops]), spec)
