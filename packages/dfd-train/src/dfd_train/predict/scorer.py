"""A model ready to score: face crops in, raw logits out, and what is known of it. `loading` makes one of a path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd_train.calibration.card import INPUT, OUTPUT
from dfd_train.calibration.learned import Calibration
from dfd_train.calibration.score import DeployedScore
from dfd_train.data.fitting import fit, normalize
from dfd_train.data.spec import InputSpec
from dfd_train.engine.learner import autocast
from dfd_train.engine.score import require_numbers, seconds_a_crop
from dfd_train.models.inference import Ready
from ffpp_prep.format.geometry import CropGeometry, Image
from ffpp_prep.text.units import duration_text

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

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
    """A network exported by `dfd-train export`, run by ONNX Runtime; no code of the model is needed."""

    def __init__(self, facts: Facts, session: InferenceSession) -> None:
        self.facts, self._session = facts, session

    def logits(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """See `Scorer`."""
        found = [
            self._session.run(
                [OUTPUT], {INPUT: _images(crops[start : start + BATCH], self.facts.spec).numpy()}
            )[0]
            for start in range(0, len(crops), BATCH)
        ]
        return _numbers(found, self.facts)


def _numbers(batches: list[NDArray[np.float32]], facts: Facts) -> NDArray[np.float32]:
    logits = np.concatenate([batch.reshape(-1) for batch in batches]) if batches else np.zeros(0, np.float32)
    return require_numbers(logits, facts.name)


def _images(crops: Sequence[Image], spec: InputSpec) -> Tensor:
    return normalize(torch.stack([fit(crop, spec) for crop in crops]), spec)
