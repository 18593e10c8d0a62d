"""How scores are spread: histogram over videos, ROC curves."""

import numpy as np
import pandas as pd

from dfd_train.metrics import method_subset, video_scores
from dfd_train.metrics.paired import judged_videos
from dfd_train.metrics.scores import rank, roc_curve
from dfd_train.metrics.summary import ORIGINALS
from dfd_train.metrics.videos import Aggregation
from dfd_train.report.curves import Plot
from dfd_train.report.svg import BLUE, GREY, ORANGE, PALETTE, figure, to_svg, whole_numbers
from dfd_train.report.tables import SCORE, methods_in


def score_histogram(
    predictions: pd.DataFrame, name: str, aggregation: Aggregation = "mean", threshold: float = 0.5
) -> Plot:
    """Returns how many real and how many fake videos lie in each twentieth of the scale of scores."""
    videos = video_scores(predictions, aggregation)
    edges = np.linspace(0, 1, 21)
    caption = "Videos by score"
    with figure() as (drawn, axes):
        sides = (("real", 0, BLUE), ("fake", 1, ORANGE))
        values = [videos.loc[videos["label"] == label, "prob"] for _, label, _ in sides]
        axes.hist(
            values,
            bins=list(edges),
            color=[colour for *_, colour in sides],
            label=[side for side, *_ in sides],
        )
        axes.axvline(threshold, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel=f"Score: {SCORE}", ylabel="Videos", xlim=(0, 1))
        whole_numbers(axes.yaxis)
        axes.legend(loc="best")
        return Plot(f"{name}-scores", caption, to_svg(drawn, f"{name}-scores", caption))


def roc_curves(predictions: pd.DataFrame, name: str, aggregation: Aggregation = "mean") -> Plot | None:
    """Returns the ROC over videos: all fakes in bold, and each method against its originals. None where a
    class is absent.
    """
    if predictions["label"].nunique() < 2:
        return None
    caption = "ROC over videos"
    with figure() as (drawn, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        methods = [method for method in methods_in(predictions) if method != ORIGINALS]
        for number, method in enumerate(methods if len(methods) > 1 else []):
            alarm, hit = _roc(method_subset(predictions, method), aggregation)
            axes.plot(alarm, hit, color=PALETTE[number % len(PALETTE)], linewidth=1.2, label=method)
        alarm, hit = _roc(predictions, aggregation)
        axes.plot(alarm, hit, color="#010203", linewidth=2.4, label="all fakes")
        axes.set(
            xlabel="Real videos called fake", ylabel="Fakes found", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01)
        )
        axes.legend(loc="lower right", fontsize=8)
        return Plot(f"{name}-roc", caption, to_svg(drawn, f"{name}-roc", caption))


def _roc(predictions: pd.DataFrame, aggregation: Aggregation) -> tuple[np.ndarray, np.ndarray]:
    videos = judged_videos(predictions, aggregation)  # by its key scores that print as 1.0 still rank
    label, key = videos["label"].to_numpy(np.float64), videos["key"].to_numpy(np.float64)
    return roc_curve(rank(label, key, np.ones(len(label))))
