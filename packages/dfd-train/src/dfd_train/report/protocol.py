"""DeepfakeBench's numbers of a set of predictions, beside ours: its test sets, its measures, its way of pooling.

Facts of its public code (`training/metrics/utils.py`): measured are accuracy, AUC, equal error rate and average
precision over frames, and the AUC of what has one bare file name. It has no accuracy over videos.
"""

import numpy as np
import pandas as pd

from dfd_train.metrics import summarize
from dfd_train.metrics.benchmark import benchmark_sets
from dfd_train.metrics.scores import benchmark_equal_error_rate, rank, sigmoid
from dfd_train.metrics.videos import Aggregation
from dfd_train.report.table import Cell, Table, count, number, words


def protocol_table(
    predictions: pd.DataFrame, demonstration: str = "", aggregation: Aggregation = "mean"
) -> Table:
    """Returns each test set's numbers by this project's definitions and by DeepfakeBench's, and the difference.

    The benchmark knows a video by its bare name: FF++'s four methods name their fakes alike, so 700 test videos
    become 280 and their AUC is no longer that of videos. Its equal error rate is that of the nearest corner.

    Raises: as `benchmark_sets`.
    """
    rows = []
    for name, frames in benchmark_sets(predictions).items():
        ours, theirs = summarize(frames, aggregation), summarize(frames, group_by="name")
        label = frames["label"].to_numpy(np.float64)
        ranking = rank(label, sigmoid(frames["logit"].to_numpy(np.float64)), np.ones(len(label)))
        gap = count(theirs.videos - ours.videos)
        rows.append((words(name), words("Videos, names"), count(ours.videos), count(theirs.videos), gap))
        for title, own, other in (
            ("Frame accuracy (acc)", ours.frame_accuracy, theirs.frame_accuracy),
            ("Frame AUC (auc)", ours.frame_auc, theirs.frame_auc),
            ("Frame equal error rate (eer)", ours.frame_eer, benchmark_equal_error_rate(ranking)),
            ("Frame average precision (ap)", ours.frame_ap, theirs.frame_ap),
            ("Video AUC (video_auc)", ours.video_auc, theirs.video_auc),
        ):
            difference = round(other - own, 12) + 0.0  # no -0.00000 where the sums differ in their last bit
            rows.append((words(name), words(title), number(own), number(other), _signed(number(difference))))
    shown = predictions.groupby("video_id")["frame"].nunique()
    many = (
        "32 frames a video"
        if shown.min() == 32
        else f"up to 32 frames a video (here {shown.mean():.0f} on average)"
    )
    notes = (
        f"Both of the same logits: {many} from the first to the last, crops of 256 pixels.",
        "The benchmark makes one video of all of a set with the same file name; it is fake if all its frames are.",
        *(
            ("The benchmark tests on all of DeepFakeDetection; here it is this split's.",)
            * _has_dfd(predictions)
        ),
    )
    header = ("Set", "Measure", "Ours", "DeepfakeBench", "Difference")
    return Table("DeepfakeBench protocol", header, tuple(rows), notes, "protocol", demonstration)


def _has_dfd(predictions: pd.DataFrame) -> bool:
    return bool((predictions["dataset"] == "dfd").any())


def _signed(cell: Cell) -> Cell:
    positive = isinstance(cell.value, float) and cell.value > 0
    return Cell("+" + cell.text, cell.value) if positive else cell
