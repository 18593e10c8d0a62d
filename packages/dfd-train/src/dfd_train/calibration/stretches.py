"""From frames to one value a video on the logit scale, without saturating: over all frames, or the worst stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dfd_train.metrics.scores import Floats
from dfd_train.metrics.videos import log_odds

STRETCH = 4
"""consecutive scored frames: a third of the twelve that evaluation takes, two seconds of what predict scores"""


@dataclass(frozen=True)
class WorstStretch:
    """Consecutive scored frames of one face, `first` to `last` inclusive, from 0, and their value."""

    first: int
    last: int
    value: float


def mean_value(logit: Floats) -> float:
    """Returns the log odds of the mean of the frames' sigmoids (N,): it orders as the mean does, and still at
    40 and 50.
    """
    return float(log_odds(logit, np.zeros(len(logit), np.int64))[0])


def worst_stretch(logit: Floats, line: float | None = None) -> WorstStretch:
    """Returns the `STRETCH` consecutive frames of the highest mean sigmoid; all of fewer frames. logit: (N,),
    in order of time.

    line: where given, the stretch goes on to both sides over frames whose own logit lies above it; the value then is
    that of all of them.
    """
    size = min(STRETCH, len(logit))
    first = int(np.argmax(window_values(logit, size)))
    last = first + size - 1
    if line is not None:
        while first > 0 and logit[first - 1] > line:
            first -= 1
        while last < len(logit) - 1 and logit[last + 1] > line:
            last += 1
    return WorstStretch(first, last, mean_value(logit[first : last + 1]))


def window_values(logit: Floats, size: int) -> Floats:
    """Returns the value of each `size` consecutive frames, (N - size + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(logit, size)
    return log_odds(windows.reshape(-1), np.repeat(np.arange(len(windows)), size))
