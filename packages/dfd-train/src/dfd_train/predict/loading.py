"""From a path to a scorer: whatever a model is kept as, a run's folder, an adopted one, weights or an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dfd_train.calibration.card import CARD_FILE, METADATA_KEY, DetectorCard
from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.kept import run_calibration
from dfd_train.calibration.learned import Calibration, from_probabilities
from dfd_train.calibration.precision import (
    find_check,
    kept_checks,
    require_bf16_checked,
)
from dfd_train.calibration.score import OVER, DeployedScore
from dfd_train.data.spec import InputSpec
from dfd_train.engine.device import choose_device
from dfd_train.errors import UserError
from dfd_train.models.build import Detector
from dfd_train.models.inference import for_inference, require_bf16
from dfd_train.predict.onnx_trial import try_onnx
from dfd_train.predict.scorer import Facts, OnnxScorer, Scorer, TorchScorer
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.trained_on import run_detector, run_geometry, run_licence, run_training_data
from dfd_train.settings.sections import Precision
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.text.printable import printable


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
        scorer = _onnx_scorer(path)
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


def _onnx_scorer(path: Path) -> OnnxScorer:
    """Returns a network exported by `dfd-train export`.

    Raises: UserError where the runtime is not installed, or the file is damaged or carries no metadata.
    """
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
        session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions share no base class
        raise UserError(
            f"{path}: not a readable ONNX file ({type(error).__name__}); copy it, or export it, again"
        ) from None
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise UserError(f"{path} carries no metadata of `dfd-train export`: export the run again")
    return OnnxScorer(_card_facts(DetectorCard.from_json(text, path), "onnx", path, sha256_of(path)), session)


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
