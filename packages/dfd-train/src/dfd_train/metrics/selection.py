"""How much the choice of the best epoch flatters the validation videos that chose it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd_train.metrics.clustered import groups_worth
from dfd_train.metrics.groups import VideoGroups, enough_groups
from dfd_train.metrics.scores import Floats

RESAMPLES = 400
OUTSIDE = 0.632  # of all groups, about so many stand in a resample


@dataclass(frozen=True)
class Optimism:
    """Balanced accuracy of the chosen epoch on the videos that chose it, and what is left of it by .632."""

    apparent: float
    corrected: float
    epochs: int
    groups: int

    @property
    def value(self) -> float:
        """By how much the apparent value is too high."""
        return self.apparent - self.corrected


def optimism(epochs: Sequence[pd.DataFrame], seed: int = 0) -> Optimism | None:
    """Returns the optimism of choosing, of several epochs, the one with the best balanced accuracy.

    The bootstrap .632 (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 17) over groups of videos:
    each resample chooses its epoch, which is judged on the groups that it left out.

    Args:
        epochs: of each a table with one row a video, the same videos each time: `video_id`, `label`, `prob`, and the
            columns of people and originals.
        seed: of the resamples.

    Returns:
        None for fewer than two epochs, or where fewer than five groups hold a class or are worth fewer than three.
    """
    if len(epochs) < 2:
        return None
    first = epochs[0].set_index("video_id", drop=False).sort_index()
    fake = first["label"].to_numpy() == 1
    group = VideoGroups.of(first).number
    if not all(enough_groups(len(np.unique(own)), groups_worth(own)) for own in (group[fake], group[~fake])):
        return None
    prob = np.stack([one.set_index("video_id").loc[first.index, "prob"].to_numpy() for one in epochs])
    hit = ((prob > 0.5) == fake).astype(np.float64)
    whole = _balanced(hit, fake, np.ones(len(fake)))
    rng = np.random.default_rng(seed)
    size, outside = int(group.max()) + 1, []
    for _ in range(RESAMPLES):
        drawn = np.bincount(rng.integers(size, size=size), minlength=size)[group].astype(np.float64)
        inside, rest = _balanced(hit, fake, drawn), _balanced(hit, fake, (drawn == 0).astype(np.float64))
        if np.isfinite(inside).all() and np.isfinite(rest).all():
            outside.append(rest[int(np.argmax(inside))])
    if not outside:
        return None
    apparent = float(whole.max())
    corrected = (1 - OUTSIDE) * apparent + OUTSIDE * float(np.mean(outside))
    return Optimism(apparent, min(apparent, corrected), len(epochs), size)


def _balanced(hit: Floats, fake: np.ndarray, weight: Floats) -> Floats:
    """Returns the balanced accuracy of each epoch under weights of the videos; NaN where a class has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [hit @ (weight * own) / (weight * own).sum() for own in (fake, ~fake)]
    mean: Floats = (shares[0] + shares[1]) / 2
    return mean
