"""The deployed score, defined once: what evaluate, predict, serve, robustness and exports make of frames' logits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfd_train.calibration.scales import Scale
from dfd_train.calibration.stretches import STRETCH, window_values
from dfd_train.metrics.scores import Floats
from dfd_train.metrics.videos import Pooling, ranking_keys

FEWEST_FRAMES = 3
"""in which a face of a video is scored; fewer are as often a pattern that looks like one"""
Over = Literal["all frames", "median frame", "sure frames", "worst stretch"]
OVER: dict[Pooling, Over] = {"mean": "all frames", "median": "median frame", "confident": "sure frames"}
"""what a face's value is taken over by each pooling; the worst stretch is none of a detector's authors"""
_POOLING = {over: pooling for pooling, over in OVER.items()}


@dataclass(frozen=True)
class DeployedScore:
    """How the logits of a face's frames become its value, and that the probability of fake."""

    scale: Scale = field(default_factory=Scale)
    over: Over = "all frames"
    frame_temperature: float = 1.0
    """divides every frame's logit first; only calibrations of before the scale was chosen have another than 1"""

    def value(self, logit: Floats) -> float:
        """Returns one face's value on the logit scale, of its frames' logits (N,) in order of time."""
        return float(self._values(logit, np.zeros(1, np.int64))[0])

    def _values(self, logit: Floats, starts: NDArray[np.int64]) -> Floats:
        """Returns the values of faces whose frames follow one another, each from where it starts."""
        logit = logit / self.frame_temperature
        if self.over == "worst stretch":
            faces = np.split(logit, starts[1:])
            return np.array([window_values(own, min(STRETCH, len(own))).max() for own in faces])
        sizes = np.diff(np.append(starts, len(logit)))
        return ranking_keys(logit, np.repeat(np.arange(len(starts)), sizes), _POOLING[self.over])

    def probs(self, value: Floats) -> Floats:
        """Returns the probability of fake of values (N,); a single frame's value is its logit over
        `frame_temperature`.
        """
        return self.scale.probs(value)

    def prob(self, value: float) -> float:
        """Returns the probability of one value."""
        return float(self.probs(np.array([value]))[0])

    def frame_probs(self, logit: Floats) -> Floats:
        """Returns single frames' probabilities (N,), for the eye: their mean is the face's if no scale was learned."""
        return self.probs(logit / self.frame_temperature)

    def videos(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Returns one row a video, in order of first appearance: its columns, `faces`, `length`, `value`, `prob`.

        predictions: one row a frame: `video_id`, `label`, `logit`, and where there are any `frame`, `face`. A video's
        value is that of its highest face; faces in fewer than three of its frames don't count where others do.
        `length` is the number of the last frame scored, plus one: evaluation scores to the end.
        """
        table = predictions.reset_index(drop=True)
        kept = table.drop(columns=["logit", "frame", "face"], errors="ignore")
        videos = kept[~table["video_id"].duplicated()].reset_index(drop=True)
        place, _ = pd.factorize(table["video_id"])
        value = np.full(len(videos), -np.inf)
        faces = np.zeros(len(videos), np.int64)
        owners, starts, logits = _faces(table, place)
        np.maximum.at(value, owners, self._values(logits, starts))
        np.add.at(faces, owners, 1)
        frame = table["frame"].to_numpy(np.int64) if "frame" in table else np.zeros(len(table), np.int64)
        length = pd.Series(frame).groupby(place).max().to_numpy() + 1
        return videos.assign(faces=faces, length=length, value=value, prob=self.probs(value))


def _faces(table: pd.DataFrame, place: np.ndarray) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Returns each counted face's video and where its logits start, and all these logits in order of time."""
    face = table["face"].to_numpy() if "face" in table else np.zeros(len(table), np.int64)
    time = table["frame"].to_numpy() if "frame" in table else np.arange(len(table))
    order = np.lexsort((time, face, place))
    new = np.append(True, (np.diff(place[order]) != 0) | (np.diff(face[order]) != 0))
    number = np.cumsum(new) - 1
    sizes, videos = np.bincount(number), place[order][new]
    most = np.zeros(int(place.max()) + 1, np.int64)
    np.maximum.at(most, videos, sizes)
    counts = sizes >= np.minimum(FEWEST_FRAMES, most[videos])
    logit = table["logit"].to_numpy(np.float64)[order][counts[number]]
    starts = np.cumsum(sizes[counts]) - sizes[counts]
    return videos[counts].astype(np.int64), starts, logit
