"""Whether detectors that stand side by side were tested on the same videos, and what they have in common."""

from collections.abc import Mapping, Sequence

import pandas as pd

from dfd_train.errors import UserError
from dfd_train.report.others import Judged
from dfd_train.report.run import Predictions, Run


def on_common_videos(runs: Sequence[Judged], common: bool) -> Mapping[str, frozenset[str]]:
    """Returns the videos in common, by name of predictions, where several runs have that name on different videos.

    Raises: UserError where there is such a name and not `common`, and where a video has two labels.
    """
    shared = {}
    for name in dict.fromkeys(one.name for run in runs for one in predictions_of(run)):
        having = {run.name: one.frames for run in runs if (one := run.predicted(name))}
        labels = pd.concat([each[["video_id", "label"]] for each in having.values()]).drop_duplicates()
        two = labels.duplicated("video_id")
        if two.any():
            raise UserError(f"{name}: {labels[two]['video_id'].iloc[0]} is real in one and fake in another")
        sets = {run: frozenset(each["video_id"]) for run, each in having.items()}
        both = frozenset.intersection(*sets.values())
        if all(each == both for each in sets.values()):
            continue
        if not common:
            counts = ", ".join(f"{run} {len(each):,}" for run, each in sets.items())
            raise UserError(
                f"{name}: not all were tested on the same videos ({counts}; {len(both):,} in all): "
                "--common compares them on those that all scored"
            )
        shared[name] = both
    return shared


def predictions_of(run: Judged) -> Sequence[Predictions]:
    """Returns all tables of predictions of a run or of other scores."""
    return run.predictions if isinstance(run, Run) else (run.predictions,)
