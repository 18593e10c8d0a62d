"""Every picture explained for every model, by every method asked for; nothing is written."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from dfd_train.engine.score import require_numbers
from dfd_train.explain.attribution import (
    BATCH,
    SIDE,
    Attribution,
    Sampling,
    gradcam,
    lime,
    logit_of,
    occlusion,
    steps,
    superpixels,
)
from dfd_train.explain.blind_baselines import randomised
from dfd_train.explain.curves import PASSES
from dfd_train.explain.pictures import Picture
from dfd_train.explain.request import ExplainRequest
from dfd_train.explain.tables import TITLES
from dfd_train.metrics.scores import sigmoid
from dfd_train.models import Detector
from dfd_train.runs.checkpoint import TrainedModel
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted, duration_text

log = logging.getLogger(__name__)
PROBE = 2 * BATCH


@dataclass(frozen=True)
class Explained:
    """One picture with each model's probability and explanations, by model, then by method."""

    picture: Picture
    probs: list[float]
    explanations: list[list[Attribution]]
    random: list[list[Attribution]]
    """of the same networks with random weights; none of a picture without a mask"""


def explain_all(
    request: ExplainRequest,
    models: Sequence[TrainedModel],
    as_trained: Sequence[Detector],
    pictures: Sequence[Picture],
    device: torch.device,
) -> list[Explained]:
    """Explains each picture for each model, after a line that says how many passes that takes and how long.

    Args:
        request: what to explain, and how.
        models: the models in the form in which they score.
        as_trained: the same models' detectors in the form in which they trained.
        pictures: what is explained.
        device: where the models are.

    Raises:
        NotANumber: a model's answer is none.
    """
    probs = [_probs(models, picture, device) for picture in pictures]
    masked = sum(has_mask(picture) for picture in pictures)
    passes = [
        (len(pictures) + masked)
        * sum(steps(method, model.detector, request.samples) for method in request.methods)
        for model in models
    ]
    # of deletion and insertion, by each and two baselines
    further = masked * 3 * PASSES * len(request.methods)
    seconds = sum(
        (number + further) * _seconds_a_pass(model, pictures[0], device)
        for number, model in zip(passes, models, strict=True)
    )
    log.info(
        "%s of %s by %s: %s passes through a network, about %s",
        ", ".join(TITLES[method] for method in request.methods),
        *(counted(len(pictures), "picture"), counted(len(models), "model")),
        *(f"{sum(passes) + further * len(models):,}", duration_text(seconds)),
    )
    # a folded batch norm has no weights of its own to draw anew
    blind = [randomised(detector, request.seed) for detector in as_trained] if masked else []
    with bar(total=sum(passes), desc="explaining", unit="pass", leave=False) as progress:
        found = []
        for number, (picture, own) in enumerate(zip(pictures, probs, strict=True)):
            segments = superpixels(picture.crop) if "lime" in request.methods else None
            explanations, random = (
                _explanations(request, detectors, picture, segments, request.seed + number, device, progress)
                for detectors in ([model.detector for model in models], blind if has_mask(picture) else [])
            )
            found.append(Explained(picture, own, explanations, random))
        return found


def has_mask(picture: Picture) -> bool:
    """Returns whether it is known which part of a picture was manipulated."""
    return picture.mask is not None and bool(picture.mask.any())


def _explanations(
    request: ExplainRequest,
    detectors: Sequence[Detector],
    picture: Picture,
    segments: npt.NDArray[np.int64] | None,
    seed: int,
    device: torch.device,
    progress: tqdm[Any],
) -> list[list[Attribution]]:
    """Returns one picture's explanations, by detector, then by method."""
    explanations = []
    for detector in detectors:
        own = []
        for method in request.methods:
            if method == "lime":
                assert segments is not None
                sampling = Sampling(segments, request.samples, seed)
                found = lime(detector, picture.crop, sampling, device=device, progress=progress.update)
            else:
                function = gradcam if method == "gradcam" else occlusion
                found = function(detector, picture.crop, device=device, progress=progress.update)
            own.append(found)
        explanations.append(own)
    return explanations


def _probs(models: Sequence[TrainedModel], picture: Picture, device: torch.device) -> list[float]:
    """Returns each model's probability of one picture. Raises: NotANumber."""
    logits = [
        require_numbers(
            np.array([logit_of(model.detector, picture.crop, device)], np.float64), str(model.path)
        )
        for model in models
    ]
    return [float(sigmoid(logit)[0]) for logit in logits]


def _seconds_a_pass(model: TrainedModel, picture: Picture, device: torch.device) -> float:
    """Measures a pass on a few LIME samples, after as many that warm up."""
    side = np.arange(SIDE) // 30
    sampling = Sampling(np.add.outer(10 * side, side), PROBE, seed=0)
    for _ in range(2):
        begin = time.perf_counter()
        lime(model.detector, picture.crop, sampling, device=device)
    return (time.perf_counter() - begin) / PROBE
