"""Turns one row per frame into one row per video."""

from pathlib import PurePosixPath
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfd_train.errors import UserError
from dfd_train.metrics.scores import Floats, cross_entropy_of_logits, sigmoid
from ffpp_prep.text.units import counted

Pooling = Literal["mean", "median", "confident"]
"""how a published detector's authors pool; confident: DFDC's winner's, see `counting`"""
Aggregation = Literal["mean", "median", "max", "confident"]
Grouping = Literal["video_id", "name"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
SAID: dict[Aggregation, str] = {
    "mean": "mean",
    "median": "median",
    "max": "max",
    "confident": "mean (where enough are sure, of those alone)",
}
"""of its frames' scores: in words"""
_SURE = (0.2, 0.8)


def video_scores(
    predictions: pd.DataFrame, aggregation: Aggregation = "mean", group_by: Grouping = "video_id"
) -> pd.DataFrame:
    """Returns one row per video, in order of first appearance, from one row per frame.

    `predictions` needs `video_id`, `label` and `logit`; other columns keep their first value. The result has
    `video_id`, `label` (1 = fake), `prob` (frames' scores aggregated), `loss` (mean cross-entropy of
    its frames), `frames` and the other per-video columns. A video is its `video_id`, so `000_003` of two
    methods is two videos; `group_by="name"` merges videos of one file name as the common benchmark protocol
    does, the label then being 1 only where all merged frames are fake.

    Raises UserError for missing columns, logits that are not finite, and a video with both labels.
    """
    frames = _checked(predictions, aggregation, group_by)
    key = video_key(frames, group_by)
    logit, label = frames["logit"].to_numpy(np.float64), frames["label"].to_numpy(np.float64)
    frames = frames.drop(columns=["logit", "frame", "face", "prob", "loss"], errors="ignore")
    frames = frames.assign(prob=sigmoid(logit), loss=cross_entropy_of_logits(label, logit))
    grouped = frames.groupby(key, sort=False)
    videos = grouped.first()
    places = counting(logit, pd.factorize(key)[0], aggregation)
    videos["prob"] = frames["prob"].iloc[places].groupby(key[places], sort=False).mean()
    videos["loss"] = grouped["loss"].mean()
    videos["frames"] = grouped.size()
    lowest, highest = grouped["label"].min(), grouped["label"].max()
    if group_by == "video_id" and (lowest != highest).any():
        raise UserError(f"{lowest.index[lowest != highest][0]} has frames of both labels; a video has one")
    videos["label"] = lowest
    return videos.reset_index(drop=True)


def video_key(predictions: pd.DataFrame, group_by: Grouping) -> np.ndarray:
    """Returns each row's video, (F,): the `video_id`, or only the file name without folders and ending."""
    ids = predictions["video_id"]
    if group_by == "name":
        ids = ids.map(lambda video_id: PurePosixPath(video_id).stem)
    key: np.ndarray = ids.to_numpy(object)
    return key


def ranking_keys(logit: Floats, owner: NDArray[np.int64], aggregation: Aggregation) -> Floats:
    """Returns the scores' log odds, (V,), which order videos as the scores do, even where those are all 1.0.

    `logit` (F,) and `owner` (F,), whose frame it is, from 0.
    """
    places = counting(logit, owner, aggregation)
    return log_odds(logit[places], owner[places])


def counting(logit: Floats, owner: NDArray[np.int64], aggregation: Aggregation) -> NDArray[np.int64]:
    """Returns the places of the frames whose mean score is their video's; arguments as `ranking_keys`.

    confident: frames over 0.8 where they are more than eleven and than two fifths of the video's; else those under 0.2
    where they are more than nine tenths; else all (selimsef/dfdc_deepfake_challenge at 89c6290, `confident_strategy`).
    """
    if aggregation == "mean":
        return np.arange(len(logit))
    count = np.bincount(owner)
    if aggregation == "confident":
        score = sigmoid(logit)
        low, high = score < _SURE[0], score > _SURE[1]
        lows, highs = np.bincount(owner, low), np.bincount(owner, high)
        fake = (highs > count // 2.5) & (highs > 11)
        real = ~fake & (lows > 0.9 * count)
        return np.flatnonzero(np.where(fake[owner], high, np.where(real[owner], low, True)))
    order = np.lexsort((logit, owner))
    first = np.cumsum(count) - count
    picked = [count - 1] if aggregation == "max" else [(count - 1) // 2, count // 2]
    return np.concatenate([order[first + place] for place in picked])


def log_odds(logit: Floats, owner: NDArray[np.int64]) -> Floats:
    """Returns log(p / (1 - p)) of each owner's mean sigmoid p, (V,), from logarithms: 40 and 50 stay 40 and 50.

    `owner` (F,): whose frame it is, from 0, nobody left out. The last digits, which rounding decides, are cut so
    that equal scores stay equal.
    """
    fake, real = (_log_mean(-np.logaddexp(0.0, sign * logit), owner) for sign in (-1.0, 1.0))
    odds: Floats = (fake - real).round(11)
    return odds


def _log_mean(log: Floats, owner: NDArray[np.int64]) -> Floats:
    """Returns the logarithm of the mean by owner of what is given by logarithms, without underflow."""
    largest = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(largest, owner, log)
    total = np.bincount(owner, np.exp(log - largest[owner]))
    mean: Floats = largest + np.log(total / np.bincount(owner))
    return mean


def _checked(predictions: pd.DataFrame, aggregation: str, group_by: str) -> pd.DataFrame:
    missing = [name for name in ("video_id", "label", "logit") if name not in predictions]
    if missing:
        raise UserError(
            f"predictions lack the column {missing[0]!r}; there are {sorted(predictions.columns)}"
        )
    if aggregation not in AGGREGATIONS:
        raise UserError(f"aggregation {aggregation!r} is unknown; use one of {', '.join(AGGREGATIONS)}")
    if group_by not in GROUPINGS:
        raise UserError(f"grouping {group_by!r} is unknown; use one of {', '.join(GROUPINGS)}")
    broken = int((~np.isfinite(predictions["logit"].to_numpy(np.float64))).sum())
    if broken:
        raise UserError(f"{broken:,} of {counted(len(predictions), 'logit')} not finite")
    if not predictions["label"].isin([0, 1]).all():
        raise UserError(
            f"labels are 0 (real) and 1 (fake); there are {sorted(predictions['label'].unique())}"
        )
    return predictions
