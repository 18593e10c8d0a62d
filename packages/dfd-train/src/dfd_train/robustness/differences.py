"""How far each condition is from the clean score, on the videos that both scored, with intervals over people."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dfd_train.calibration.learned import Calibration
from dfd_train.metrics.paired import PairedDifference, difference, judged_videos
from dfd_train.metrics.videos import Aggregation
from dfd_train.robustness.conditions import Condition

MEASURES = {
    "Accuracy": "video_accuracy",
    "Balanced accuracy": "balanced_accuracy",
    "Video AUC": "video_auc",
}
DEPLOYED = {
    "Deployed score: balanced accuracy": "balanced_accuracy",
    "Deployed score: AUC": "video_auc",
    "Deployed score: Brier score": "brier",
}
"""of what predict and serve show; calls are made at the threshold of the best balanced accuracy on validation"""
Differences = Mapping[Condition, Mapping[str, PairedDifference]]


def differences(
    predicted: Mapping[Condition, pd.DataFrame],
    clean: pd.DataFrame,
    calibration: Calibration | None = None,
    aggregation: Aggregation = "mean",
) -> Differences:
    """Returns each changed condition less the clean score, by measure; conditions that share no video with it
    are left out.

    calibration: the run's; without one there are no measures of its deployed score.
    """
    before = judged_videos(clean, aggregation)
    shown_before = _deployed(clean, calibration) if calibration else None
    found = {}
    for condition, after in predicted.items():
        if not condition.changes or not after["video_id"].isin(before["video_id"]).any():
            continue
        found[condition] = _apart(judged_videos(after, aggregation), before, MEASURES)
        if calibration and shown_before is not None:
            shown = _deployed(after, calibration)
            found[condition] |= _apart(shown, shown_before, DEPLOYED, calibration.threshold)
    return found


def _apart(
    after: pd.DataFrame, before: pd.DataFrame, measures: Mapping[str, str], threshold: float = 0.5
) -> dict[str, PairedDifference]:
    return {title: difference(after, before, name, threshold) for title, name in measures.items()}


def _deployed(predictions: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """Returns one row a video with its deployed score in the place of the plain one."""
    return calibration.score.videos(predictions).rename(columns={"value": "key"})
