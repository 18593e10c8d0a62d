"""The card of an export: what another program must know to use the network as it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from dfd_train.calibration.card import DetectorCard
from dfd_train.calibration.kept import run_calibration
from dfd_train.calibration.precision import kept_checks
from dfd_train.data.spec import CropRule
from dfd_train.runs.checkpoint import TrainedModel
from dfd_train.runs.folder import DEMONSTRATION
from dfd_train.runs.trained_on import run_detector, run_geometry, run_licence, run_training_data
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.geometry import CropGeometry

if TYPE_CHECKING:
    from reseption_models import ModelCard


def card_of(run: Path, model: TrainedModel) -> DetectorCard:
    """Returns the card of a run's best network, with what its validation videos taught where they did."""
    calibration = run_calibration(run)
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


def network_card(model: TrainedModel, card: DetectorCard) -> ModelCard:
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


def is_ours(network: nn.Module) -> bool:
    """Returns whether reseption-models can build a network anew.

    It can't an ensemble with members of another family, nor a network with an adapter or a normalised head.
    """
    from reseption_models import Reseption, ReseptionEnsemble

    own = all(
        type(module).__module__.split(".")[0] in ("torch", "reseption_models") for module in network.modules()
    )
    return isinstance(network, Reseption | ReseptionEnsemble) and network.config is not None and own
