"""How far each condition is from the clean score, on the videos that both scored, with intervals over people."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dfd_train.metrics.paired import Difference, difference, judged_videos
from dfd_train.robustness.conditions import Condition

MEASURES = ("video_accuracy", "balanced_accuracy", "video_auc")
Differences = Mapping[Condition, Mapping[str, Difference]]


def differences(predicted: Mapping[Condition, pd.DataFrame], clean: pd.DataFrame) -> Differences:
    """Each changed condition less the clean score, by measure; conditions that share no video with it are left out."""
    before = judged_videos(clean)
    return {
        condition: {measure: difference(judged_videos(after), before, measure) for measure in MEASURES}
        for condition, after in predicted.items()
        if condition.changes and after["video_id"].isin(before["video_id"]).any()
    }
