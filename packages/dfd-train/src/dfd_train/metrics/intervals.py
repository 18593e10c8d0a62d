"""How far each number would move with other videos of the same kind: bootstrap over videos."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics.summary import Levels, Summary
from dfd_train.metrics.videos import Aggregation

CHUNK = 10  # resamples at a time: their numbers stay in the processor's cache


@dataclass(frozen=True)
class Intervals:
    """Lower and upper ends of the intervals of each number, in the shape of the summary itself."""

    low: Summary
    high: Summary
    level: float


def bootstrap(
    predictions: pd.DataFrame,
    aggregation: Aggregation = "mean",
    threshold: float = 0.5,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Intervals:
    """Percentile intervals from videos drawn with replacement, reals and fakes apart to keep their ratio.

    A video is drawn with all its frames: frames of one video are no independent evidence. The same seed
    gives the same intervals. Raises UserError as `summarize` does, and for resamples < 1 or a level outside
    (0, 1).
    """
    if resamples < 1 or not 0 < level < 1:
        raise UserError(f"resamples {resamples} must be positive and level {level} between 0 and 1")
    levels = Levels.of(predictions, aggregation, "video_id")
    random = np.random.default_rng(seed)
    drawn: list[Summary] = []
    while len(drawn) < resamples:
        weight = _draw(levels.video_label, min(CHUNK, resamples - len(drawn)), random)
        drawn.extend(levels.summary(weight, threshold))
    tail = (1.0 - level) / 2.0
    names = [field.name for field in fields(Summary)]
    values = np.array([[getattr(one, name) for name in names] for one in drawn])
    low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
    return Intervals(_summary(low), _summary(high), level)


def _draw(label: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """How often each video is drawn in each resample, (resamples, V); both classes keep their totals."""
    weight = np.zeros((resamples, len(label)))
    for of_class in (label == 0, label == 1):
        count = int(of_class.sum())
        if count:
            weight[:, of_class] = random.multinomial(count, np.full(count, 1.0 / count), size=resamples)
    return weight


def _summary(row: np.ndarray) -> Summary:
    return Summary(int(row[0]), int(row[1]), *map(float, row[2:]))
