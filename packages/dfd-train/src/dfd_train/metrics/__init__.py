"""Every reported number, from one table of predictions (one row a frame). Definitions: docs/metrics.md."""

from dfd_train.metrics.intervals import Intervals, estimate_intervals
from dfd_train.metrics.summary import Summary, best_threshold, method_subset, summarize, summarize_sets
from dfd_train.metrics.videos import AGGREGATIONS, GROUPINGS, video_scores

__all__ = [
    "AGGREGATIONS",
    "GROUPINGS",
    "Intervals",
    "Summary",
    "best_threshold",
    "estimate_intervals",
    "method_subset",
    "summarize",
    "summarize_sets",
    "video_scores",
]
