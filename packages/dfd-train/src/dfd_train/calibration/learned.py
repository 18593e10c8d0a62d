"""What a model's numbers are worth: temperature, threshold and spread of scores on its validation videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics import best_threshold
from dfd_train.metrics.scores import Floats, sigmoid
from dfd_train.metrics.videos import video_scores

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
