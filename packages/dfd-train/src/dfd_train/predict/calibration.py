"""What a model's numbers are worth: temperature, threshold and spread of scores on its validation videos.

RUN/calibration.json keeps it, for the one checkpoint that it names.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics import best_threshold
from dfd_train.metrics.scores import Floats, sigmoid
from dfd_train.metrics.videos import video_scores
from dfd_train.runs.files import write_atomically
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json, with_checksum
from ffpp_prep.format.files import sha256_of

log = logging.getLogger(__name__)

FILE = "calibration.json"
KEPT_SCORES = 1001
TEMPERATURES = np.geomspace(0.05, 20.0, 400)


@dataclass(frozen=True)
class Calibration:
    """How to read a model's logits, learned from validation videos."""

    checkpoint_sha256: str
    """of the checkpoint that it holds for; of several joined by commas, for their mean logit"""
    temperature: float
    """divides every frame's logit"""
    threshold: float
    """a video is called fake where the mean of its frames' probabilities, temperature applied, exceeds this"""
    videos_real: int
    videos_fake: int
    real: tuple[float, ...]
    """probabilities of real validation videos, ascending; quantiles of them where there are more than 1001"""
    fake: tuple[float, ...]
    """the same of fakes"""

    def shares_above(self, prob: float) -> tuple[float, float]:
        """Which shares of real and of fake validation videos scored at least `prob`."""
        real, fake = (float((np.array(values) >= prob).mean()) for values in (self.real, self.fake))
        return real, fake


def calibrate(validation: pd.DataFrame, checkpoint_sha256: str) -> Calibration:
    """The calibration of validation predictions, one row a frame (`video_id`, `label`, `logit`).

    The temperature (Guo et al. 2017) is the one under which the videos' probabilities (means over frames) have the
    smallest cross-entropy, both classes weighing alike, so that a probability holds where real and fake are equally
    likely beforehand. Targets are Platt's (1999), a little inside 0 and 1: without that a small set that the model
    separates would make every number certain. The threshold is `best_threshold`'s.

    Raises: UserError where a class is absent, or as `video_scores` does.
    """
    videos = video_scores(validation)
    fake = videos["label"].to_numpy() == 1
    counts = int((~fake).sum()), int(fake.sum())
    if 0 in counts:
        raise UserError("calibration needs real and fake validation videos; there is one class only")
    temperature = _temperature(validation)
    scaled = validation.assign(logit=validation["logit"] / temperature)
    prob = video_scores(scaled)["prob"].to_numpy(np.float64)
    return Calibration(
        checkpoint_sha256=checkpoint_sha256,
        temperature=temperature,
        threshold=best_threshold(scaled),
        videos_real=counts[0],
        videos_fake=counts[1],
        real=_kept(prob[~fake]),
        fake=_kept(prob[fake]),
    )


def run_calibration(run: Path, device: str = "auto", trust: Sequence[str] = ()) -> Calibration | None:
    """The calibration of a run's best checkpoint; None (with a warning) where its validation set is out of reach.

    It is read from RUN/calibration.json, or made of RUN/predictions-val.parquet, or of the validation set itself,
    which takes a while; and kept in the run's folder where that can be written to. `trust`: as `load_model`.
    """
    folder = RunFolder(run)
    sha256 = sha256_of(folder.best)
    kept = read_calibration(run)
    if kept is not None and kept.checkpoint_sha256 == sha256:
        return kept
    try:
        calibration = calibrate(validation_predictions(run, device, trust), sha256)
    except (OSError, UserError) as error:
        log.warning("%s: no calibration, so no verdicts: %s", run, " ".join(str(error).split()))
        return None
    try:
        content = with_checksum(msgspec.to_builtins(calibration))
        write_atomically(run / FILE, json.dumps(content, indent=2).encode())
    except OSError as error:
        log.warning("%s cannot be kept: %s", run / FILE, error)
    return calibration


def read_calibration(run: Path) -> Calibration | None:
    """What RUN/calibration.json says; None where there is no such file, or it is not as it was written."""
    try:
        content = read_checked_json(run / FILE, "it is made again")
        return msgspec.convert(content, Calibration)
    except Damaged as damage:
        log.warning("%s", damage)
    except (OSError, msgspec.ValidationError):
        pass
    return None


def validation_predictions(run: Path, device: str = "auto", trust: Sequence[str] = ()) -> pd.DataFrame:
    """Predictions of the best checkpoint on the run's validation split, computed where they are not at hand.

    Methods that did not train are left out: they choose nothing.

    Raises: FileNotFoundError, UserError where they can't be had.
    """
    predictions = _all_validation_predictions(run, device, trust)
    return predictions[~predictions["method"].isin(RunFolder(run).read_config().data.exclude_methods)]


def _all_validation_predictions(run: Path, device: str, trust: Sequence[str]) -> pd.DataFrame:
    folder = RunFolder(run)
    path = folder.predictions("val")
    if path.is_file():
        predictions, facts = read_predictions(path)
        if facts.get("checkpoint_sha256") == sha256_of(folder.best):
            return predictions
    from dfd_train.engine.evaluate import Request, evaluate

    log.info("%s: scoring its validation split, for the calibration", run)
    return evaluate(run, Request(split="val", device=device, trust=tuple(trust))).predictions


def _kept(prob: Floats) -> tuple[float, ...]:
    return tuple(np.quantile(prob, np.linspace(0.0, 1.0, min(len(prob), KEPT_SCORES))).tolist())


def _temperature(validation: pd.DataFrame) -> float:
    """The temperature of smallest balanced cross-entropy over videos, searched on a grid of 1.5 % steps."""
    video = pd.factorize(validation["video_id"])[0]
    logit = validation["logit"].to_numpy(np.float64)
    frames = np.bincount(video)
    fake = np.bincount(video, validation["label"].to_numpy(np.float64)) > 0
    target = np.where(fake, (fake.sum() + 1) / (fake.sum() + 2), 1 / ((~fake).sum() + 2))
    weight = np.where(fake, 0.5 / fake.sum(), 0.5 / (~fake).sum())

    def loss(temperature: float) -> float:
        prob: Floats = np.bincount(video, sigmoid(logit / temperature)) / frames
        prob = prob.clip(1e-12, 1 - 1e-12)
        return float(-(weight * (target * np.log(prob) + (1 - target) * np.log1p(-prob))).sum())

    return float(TEMPERATURES[np.argmin([loss(t) for t in TEMPERATURES])])
