"""All numbers of one set of predictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics import scores
from dfd_train.metrics.scores import Floats
from dfd_train.metrics.videos import Aggregation, Grouping, ranking_keys, video_key, video_scores

ORIGINALS = "original_sequences"


@dataclass(frozen=True)
class Summary:
    """Numbers of one set of predictions: shares and errors in [0, 1], losses in nats, NaN where undefined."""

    videos: int
    frames: int
    loss: float
    frame_accuracy: float
    video_accuracy: float
    balanced_accuracy: float
    frame_balanced_accuracy: float
    video_auc: float
    frame_auc: float
    ap: float
    frame_ap: float
    eer: float
    frame_eer: float
    log_loss: float
    ece: float
    frame_ece: float


def summarize(
    predictions: pd.DataFrame,
    aggregation: Aggregation = "mean",
    threshold: float = 0.5,
    group_by: Grouping = "video_id",
) -> Summary:
    """Returns the summary of a table with one row a frame (`video_id`, `label`, `logit`).

    `threshold` is the score above which a video or frame is called fake: 0.5, or what `best_threshold`
    took from validation. Names without `frame_` are at video level, except `loss`, the thesis's mean over
    frames (5.3.1).
    Raises UserError as `video_scores` does.
    """
    both = Levels.of(predictions, aggregation, group_by)
    return both.summary(np.ones(len(both.video_label)), threshold)[0]


def summarize_sets(predictions: pd.DataFrame) -> dict[str, Summary]:
    """Returns summaries of the videos of each prepared set, in the table's order; none where they are all of one."""
    if "set" not in predictions:
        return {}
    return {str(name): summarize(own) for name, own in predictions.groupby("set", sort=False)}


def best_threshold(validation: pd.DataFrame, aggregation: Aggregation = "mean") -> float:
    """Returns the score that gives validation videos the best balanced accuracy; of equals, that nearest 0.5.

    Candidates lie midway between neighbouring video scores. Raises UserError where a class is absent.
    """
    videos = video_scores(validation, aggregation)
    fake = videos["label"].to_numpy() == 1
    if fake.all() or not fake.any():
        raise UserError(
            "a threshold needs real and fake videos; the validation predictions hold one class only"
        )
    return best_threshold_of(videos["prob"].to_numpy(np.float64), fake, middle=0.5)


def best_threshold_of(value: Floats, fake: np.ndarray, middle: float = 0.0) -> float:
    """Returns the value of the best balanced accuracy between fakes and reals, as `best_threshold` does.

    Args:
        value: (V,) of videos, higher for fakes.
        fake: (V,) bool.
        middle: of equals, the one nearest it is taken.
    """
    distinct = np.unique(value)[::-1]
    candidates = np.append((distinct[1:] + distinct[:-1]) / 2.0, middle)
    called_fake = np.append(
        np.arange(1, len(distinct)), (distinct > middle).sum()
    )  # distinct values above each
    ranking = scores.rank(fake.astype(np.float64), value, np.ones(len(value)))
    false_alarm, hit = scores.roc_curve(ranking)
    reached = ((hit + 1.0 - false_alarm) / 2.0)[called_fake]
    best = candidates[reached >= reached.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - middle))])


def method_subset(predictions: pd.DataFrame, method: str) -> pd.DataFrame:
    """Returns a method's frames with those of the originals that its scores are compared with.

    These are all originals of the data sets that the method's fakes belong to, shared by every method of
    that set; if such a set has none, all originals. For the originals' own name it returns them alone.
    """
    real = predictions["label"] == 0
    fake = (predictions["method"] == method) & ~real
    if method == ORIGINALS:
        return predictions[real]
    if "dataset" in predictions:
        same_set = real & predictions["dataset"].isin(predictions.loc[fake, "dataset"].unique())
        real = same_set if same_set.any() else real
    return predictions[fake | real]


@dataclass(frozen=True)
class Levels:
    """Arrays of videos (V,) and of frames (F,) for the formulas; `frame_video` tells whose a frame is.

    `video_key` orders videos as `video_prob` does, and still where that is 1.0; of frames their logits do.
    """

    video_label: Floats
    video_prob: Floats
    video_key: Floats
    frame_label: Floats
    frame_prob: Floats
    frame_logit: Floats
    frame_loss: Floats
    frame_video: np.ndarray

    @classmethod
    def of(cls, predictions: pd.DataFrame, aggregation: Aggregation, group_by: Grouping) -> "Levels":
        """Returns the arrays of a table of predictions. Raises UserError for a table without rows."""
        if len(predictions) == 0:
            raise UserError("the table of predictions has no rows: no video of this split had a usable face")
        videos = video_scores(predictions, aggregation, group_by)
        label, logit = (predictions[name].to_numpy(np.float64) for name in ("label", "logit"))
        owner = pd.factorize(video_key(predictions, group_by))[0]
        return cls(
            video_label=videos["label"].to_numpy(np.float64),
            video_prob=videos["prob"].to_numpy(np.float64),
            video_key=ranking_keys(logit, owner, aggregation),
            frame_label=label,
            frame_prob=scores.sigmoid(logit),
            frame_logit=logit,
            frame_loss=scores.cross_entropy_of_logits(label, logit),
            frame_video=owner,
        )

    def summary(self, weight: Floats, threshold: float) -> list[Summary]:
        """Returns a summary for each weighting of the videos: one for weights (V,), B for (B, V)."""
        weight = np.atleast_2d(weight)
        frames = weight[:, self.frame_video]
        video, frame = (self.video_label, self.video_prob), (self.frame_label, self.frame_prob)
        ranked_videos = scores.rank(self.video_label, self.video_key, weight)
        ranked_frames = scores.rank(self.frame_label, self.frame_logit, frames)
        columns = {
            "loss": scores.mean(self.frame_loss, frames),
            "frame_accuracy": scores.accuracy(*frame, frames, threshold),
            "video_accuracy": scores.accuracy(*video, weight, threshold),
            "balanced_accuracy": scores.balanced_accuracy(*video, weight, threshold),
            "frame_balanced_accuracy": scores.balanced_accuracy(*frame, frames, threshold),
            "video_auc": scores.auc(ranked_videos),
            "frame_auc": scores.auc(ranked_frames),
            "ap": scores.average_precision(ranked_videos),
            "frame_ap": scores.average_precision(ranked_frames),
            "eer": scores.equal_error_rate(ranked_videos),
            "frame_eer": scores.equal_error_rate(ranked_frames),
            "log_loss": scores.mean(scores.cross_entropy_of_probs(*video), weight),
            "ece": scores.calibration_error(*video, weight),
            "frame_ece": scores.calibration_error(*frame, frames),
        }
        return [
            Summary(
                videos=int(weight[row].sum()),
                frames=int(frames[row].sum()),
                **{name: float(values[row]) for name, values in columns.items()},
            )
            for row in range(len(weight))
        ]
