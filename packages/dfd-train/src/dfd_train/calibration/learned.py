"""What validation videos teach: the deployed score, where its limits lie, and whether it may give verdicts at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.calibration.choosing import ScaleTrial, choose_scale
from dfd_train.calibration.limits import RISK, ClassValues, Limits
from dfd_train.calibration.scales import Scale, at_an_end, fit_scale
from dfd_train.calibration.score import FEWEST_FRAMES, OVER, DeployedScore, Over
from dfd_train.errors import UserError
from dfd_train.metrics import scores
from dfd_train.metrics.clustered import auc_interval
from dfd_train.metrics.groups import SampleSize, VideoGroups
from dfd_train.metrics.scores import sigmoid
from dfd_train.metrics.summary import best_threshold_of
from dfd_train.metrics.videos import Pooling, video_scores

MARGIN = 0.1
"""by which the lower end of the validation AUC's interval must lie above one half, or there is no verdict"""
GAIN = 0.01
"""of AUC, which the worst stretch must bring to be taken for the mean over all frames"""
_STRETCH: Over = "worst stretch"
SPLICED = 3
"""of a spliced video one frame in so many is a fake's"""


@dataclass(frozen=True)
class Competence:
    """How well validation videos were told apart by the deployed score."""

    auc: float
    low: float | None
    """lower end of the 95 % interval over people; None where there were too few of them for one"""
    reals: int
    """groups of linked videos that hold reals; so for the fakes"""
    fakes: int

    def lacking(self) -> str:
        """Returns why no verdict may be given; empty where one may."""
        if self.low is None:
            return (
                "it was tested on too few people, or groups of linked videos, to know how often it is wrong: "
                f"{self.reals:,} real and {self.fakes:,} faked"
            )
        if not self.low > 0.5 + MARGIN:
            return (
                "on the videos that tested it, it told real from fake too badly (AUC, where 0.5 is guessing and 1 is "
                f"never wrong: {self.auc:.2f}, which may be as low as {self.low:.2f}; {0.5 + MARGIN:.2f} is needed)"
            )
        return ""


@dataclass(frozen=True)
class Calibration:
    """How to read a model's logits, learned from validation videos."""

    checkpoint_sha256: str
    """of the checkpoint that it holds for; of several joined by commas, for their mean logit"""
    score: DeployedScore
    temperature: float
    """that of a temperature alone, for programs that know no other scale"""
    threshold_value: float
    """the value of the best balanced accuracy over these videos"""
    competence: Competence
    videos_real: int
    videos_fake: int
    reals: ClassValues
    """values of real validation videos"""
    fakes: ClassValues
    stretches: ClassValues
    """values of the worst stretches of real ones"""
    frames: int
    """of a face of a validation video, median: so many are one look"""
    tried: tuple[ScaleTrial, ...] = ()
    """the scales among which cross-validation chose"""

    @property
    def threshold(self) -> float:
        """The probability of the best balanced accuracy over validation videos."""
        return self.score.prob(self.threshold_value)

    @property
    def plain_threshold(self) -> float:
        """The same for programs that know no other scale than `temperature`."""
        alone = 1.0 if self.score.frame_temperature != 1.0 else self.temperature
        return float(sigmoid(np.array(self.threshold_value / alone)))

    @property
    def failed(self) -> str:
        """Why this is no calibration; empty where it is one."""
        return self.score.scale.failed

    def lacking(self) -> str:
        """Returns why no verdict may be given for any file; empty where one may."""
        if lacking := self.competence.lacking():
            return lacking
        return f"its calibration failed: {self.failed}" if self.failed else ""

    def looks(self, frames: list[int]) -> int:
        """Returns how many values a file's is the highest of, whose faces were scored in so many frames."""
        return self.stretch_looks(frames) if self.score.over == "worst stretch" else len(frames)

    def stretch_looks(self, frames: list[int]) -> int:
        """Returns the same for its worst stretch: a face seen for as long as two validation videos is two looks."""
        return sum(-(-count // max(self.frames, 1)) for count in frames)

    def enough(self, frames: int) -> bool:
        """Returns whether so many frames of a face may be judged by limits that come from means over `self.frames`."""
        return frames >= min(FEWEST_FRAMES, self.frames)

    def limits(self, looks: int, risk: float = RISK) -> Limits:
        """Returns the values that decide about a file of so many looks."""
        return Limits.of(self.reals, self.fakes, looks, risk)

    def shares_above(self, value: float) -> tuple[float, float]:
        """Returns which shares of real and of fake validation videos had at least this value."""
        real, fake = (float((np.array(own.values) >= value).mean()) for own in (self.reals, self.fakes))
        return real, fake


def calibrate(validation: pd.DataFrame, checkpoint_sha256: str, pooling: Pooling = "mean") -> Calibration:
    """Returns the calibration of validation predictions, one row a frame (`video_id`, `label`, `logit`, `frame`, …).

    Whether all frames, pooled so, or the worst stretch counts is decided by AUC on these videos as they are and on
    spliced ones, of which a third of the frames is a fake's: validation sets hold fakes from beginning to end only.

    Raises: UserError where a class is absent, or as `video_scores` does.
    """
    video_scores(validation)  # whether it is what it should be
    over = _better(validation, OVER[pooling])
    videos = DeployedScore(over=over).videos(validation)
    value, fake = videos["value"].to_numpy(np.float64), videos["label"].to_numpy() == 1
    counts = int((~fake).sum()), int(fake.sum())
    if 0 in counts:
        raise UserError("calibration needs real and fake validation videos; there is one class only")
    groups = VideoGroups.of(videos)
    choice = choose_scale(value, fake, groups.number)
    stretches = DeployedScore(over=_STRETCH).videos(validation)["value"].to_numpy(np.float64)
    return Calibration(
        checkpoint_sha256=checkpoint_sha256,
        score=DeployedScore(choice.scale, over),
        temperature=fit_scale("temperature", value, fake).temperature,
        threshold_value=best_threshold_of(value, fake),
        competence=competence(value, fake, groups),
        videos_real=counts[0],
        videos_fake=counts[1],
        reals=ClassValues.of(value[~fake], groups.number[~fake]),
        fakes=ClassValues.of(value[fake], groups.number[fake]),
        stretches=ClassValues.of(stretches[~fake], groups.number[~fake]),
        frames=int(np.median(np.bincount(pd.factorize(validation["video_id"])[0]) / videos["faces"])),
        tried=choice.tried,
    )


def with_deployed_score(predictions: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Returns predictions, a row per frame, with the deployed score of its video: `video_value`, `video_score`."""
    videos = calibration.score.videos(predictions).set_index("video_id")
    owner = predictions["video_id"]
    return predictions.assign(
        video_value=videos["value"].reindex(owner).to_numpy(),
        video_score=videos["prob"].reindex(owner).to_numpy(),
    )


def competence(value: np.ndarray, fake: np.ndarray, groups: VideoGroups) -> Competence:
    """Measures how well values (V,) tell fakes, `fake` (V,), from reals, with the groups of people they show."""
    evidence = SampleSize.of(groups, fake)
    label = fake.astype(np.float64)
    area = float(scores.auc(scores.rank(label, value, np.ones(len(label)))))
    low = auc_interval(label, value, groups.number).low if evidence.enough else None
    return Competence(area, low, evidence.reals, evidence.fakes)


def from_probabilities(
    checkpoint_sha256: str,
    temperature: float,
    threshold: float,
    videos: tuple[int, int],
    real: tuple[float, ...],
    fake: tuple[float, ...],
) -> Calibration:
    """Returns a calibration as it was kept before: a temperature of frames, and the videos' probabilities under it.

    Nobody wrote down then whom the videos show: each is taken for a group of its own.
    """
    tiny = np.finfo(np.float64).eps
    of_reals, of_fakes = (np.array(each).clip(tiny, 1 - tiny) for each in (real, fake))
    prob = np.concatenate([of_reals, of_fakes])
    value, is_fake = np.log(prob) - np.log1p(-prob), np.repeat([False, True], [len(real), len(fake)])
    alone = VideoGroups(np.arange(len(value)), 0, 0)
    reals, fakes = (ClassValues.of(value[own], alone.number[own]) for own in (~is_fake, is_fake))
    limit = threshold if 0 < threshold < 1 else 0.5
    return Calibration(
        checkpoint_sha256=checkpoint_sha256,
        score=DeployedScore(Scale(failed=at_an_end(temperature)), frame_temperature=temperature),
        temperature=temperature,
        threshold_value=float(np.log(limit) - np.log1p(-limit)),
        competence=competence(value, is_fake, alone),
        videos_real=videos[0],
        videos_fake=videos[1],
        reals=reals,
        fakes=fakes,
        stretches=ClassValues((), (), 0),
        frames=12,
    )


def _better(validation: pd.DataFrame, usual: Over) -> Over:
    """Returns what a face's value is taken over: as usual unless the worst stretch orders videos better by `GAIN`.

    Fewer than five groups of a class say nothing of that.
    """
    videos = validation.drop_duplicates("video_id")
    evidence = SampleSize.of(VideoGroups.of(videos), videos["label"].to_numpy() == 1)
    spliced = _spliced(validation)
    if spliced is None or not evidence.enough:
        return usual
    kept, stretch = ((_area(validation, over) + _area(spliced, over)) / 2 for over in (usual, _STRETCH))
    return _STRETCH if stretch > kept + GAIN else usual


def _area(predictions: pd.DataFrame, over: Over) -> float:
    videos = DeployedScore(over=over).videos(predictions)
    label, value = videos["label"].to_numpy(np.float64), videos["value"].to_numpy(np.float64)
    return float(scores.auc(scores.rank(label, value, np.ones(len(label)))))


def _spliced(validation: pd.DataFrame, seed: int = 0) -> pd.DataFrame | None:
    """Returns the reals, and each fake with all but a third of its frames taken from a real video; None
    without a class.
    """
    columns = [name for name in ("video_id", "label", "logit", "frame", "face") if name in validation]
    table = validation[columns]
    by_video = table[table["label"] == 0].groupby("video_id", sort=True)["logit"]
    reals = [own.to_numpy(np.float64) for _, own in by_video]
    fakes = table[table["label"] == 1]
    if not reals or fakes.empty:
        return None
    random = np.random.default_rng(seed)
    logit = fakes["logit"].to_numpy(np.float64).copy()
    rows = fakes.groupby("video_id", sort=True).indices
    for number, own in enumerate(rows.values()):
        base = np.resize(reals[number % len(reals)], len(own))
        count = -(-len(own) // SPLICED)
        start = int(random.integers(len(own) - count + 1))
        base[start : start + count] = logit[own[start : start + count]]
        logit[own] = base
    return pd.concat([table[table["label"] == 0], fakes.assign(logit=logit)], ignore_index=True)
