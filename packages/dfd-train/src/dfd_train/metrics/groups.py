"""Which videos are no independent evidence: those that show the same people, or were made of one original."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dfd_train.metrics.clustered import Groups, groups_worth
from ffpp_prep.datasets.people import person_key
from ffpp_prep.text.units import plural

FEWEST = 5
"""groups that must hold each class, or no interval is given"""
LEAST_WORTH = 3.0
"""groups of one size that they must be worth at least: at 3.2, intervals still cover (benchmarks/coverage.py)"""
ROUGH = 15
"""below so many groups of a class an interval is called rough"""


@dataclass(frozen=True)
class VideoGroups:
    """A group for each video: two videos are in one where people or originals link them, over others too."""

    number: Groups
    """(V,) from 0"""
    named: int
    """videos that say whom they show"""
    linked: int
    """videos that don't, but name their original or are one's"""

    @classmethod
    def of(cls, videos: pd.DataFrame) -> "VideoGroups":
        """Groups the videos of a table, one a row: `video_id`, and the columns of people and originals where known.

        Both people of a fake link it. Identities are known within a data set only; "Anna" and "anna ", 2.0 and 2 are
        one, as in the search for leaks.
        """
        size = len(videos)
        dataset = _person(videos, "dataset")
        people = [_person(videos, column) for column in ("source_id", "target_id")]
        named = np.logical_or(*(column != "" for column in people))
        original = _text(videos, "original_id")
        keys = [
            *("person\n" + dataset + "\n" + column for column in people),
            "video\n" + original,
            "video\n" + _text(videos, "video_id"),
        ]
        present = [*(column != "" for column in people), original != "", np.ones(size, bool)]
        video = np.concatenate([np.flatnonzero(each) for each in present])
        node, nodes = pd.factorize(
            np.concatenate([key[each] for key, each in zip(keys, present, strict=True)])
        )
        graph = coo_array(
            (np.ones(len(video), bool), (video, size + node)), shape=(size + len(nodes), size + len(nodes))
        )
        component = connected_components(graph, directed=False)[1][:size]
        number = np.unique(component, return_inverse=True)[1].astype(np.int64)
        of_original = (original != "") | np.isin(_text(videos, "video_id"), original[original != ""])
        return cls(number, int(named.sum()), int((~named & of_original).sum()))


@dataclass(frozen=True)
class SampleSize:
    """How many videos and groups the intervals rest on."""

    videos: int
    groups: int
    fakes: int
    """groups that hold a fake; so for the reals"""
    reals: int
    named: int
    linked: int
    worth: float
    """groups of one size that the class with fewer of them is worth, see `groups_worth`"""

    @classmethod
    def of(cls, groups: VideoGroups, fake: np.ndarray) -> "SampleSize":
        """Counts the evidence in videos' groups, given which videos are fakes, (V,)."""
        number = groups.number
        every, fakes, reals = (len(np.unique(each)) for each in (number, number[fake], number[~fake]))
        worth = min(groups_worth(number[own]) for own in (fake, ~fake) if own.any())
        return cls(len(number), every, fakes, reals, groups.named, groups.linked, worth)

    @property
    def fewest(self) -> int:
        """Groups of the rarer class; where only one class is there, its own."""
        return min(count for count in (self.fakes, self.reals) if count)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t."""
        return self.worth - 1

    @property
    def enough(self) -> bool:
        """Whether intervals are given at all."""
        return enough_groups(self.fewest, self.worth)

    @property
    def rough(self) -> bool:
        """Whether they are given, of few people."""
        return self.enough and self.worth < ROUGH

    def sentence(self) -> str:
        """Returns what a reader must know about the intervals."""
        videos, groups = plural(self.videos, "video"), plural(self.groups, "group")
        text = f"{self.videos:,} {videos} {'is' if self.videos == 1 else 'are'} "
        text += f"{self.groups:,} independent {groups} ({self._by()}): "
        text += f"fakes are in {self.fakes:,} of them, reals in {self.reals:,}."
        if self.fewest < FEWEST:
            return text + f" No interval: fewer than {FEWEST} groups hold one of the classes."
        if not self.enough:
            text += " No interval: most videos of one class are in few of its groups, which are worth "
            return text + f"{self.worth:.1f} groups of equal size, fewer than {LEAST_WORTH:g}."
        return text + (" Few people: a rough interval." if self.rough else "")

    def _by(self) -> str:
        rest = self.videos - self.named - self.linked
        kinds = (
            (self.named, "by the people they show"),
            (self.linked, "by their originals"),
            (rest, "each for itself, nothing links it to others"),
        )
        used = [(number, text) for number, text in kinds if number]
        if len(used) == 1:
            return used[0][1]
        return ", ".join(f"{number:,} {text}" for number, text in used)


def enough_groups(count: int, worth: float) -> bool:
    """Returns whether an interval can be given of so many groups, worth so many of equal size."""
    return count >= FEWEST and worth >= LEAST_WORTH


def _person(videos: pd.DataFrame, column: str) -> np.ndarray:
    """Returns a column of names, (V,), as two that are one person's have in common."""
    return np.array([person_key(name) for name in _text(videos, column)], object)


def _text(videos: pd.DataFrame, column: str) -> np.ndarray:
    """Returns a column as text, (V,); empty where it is missing."""
    if column not in videos:
        return np.full(len(videos), "", object)
    values = videos[column].astype(object)
    text: np.ndarray = values.where(values.notna(), "").astype(str).to_numpy(object)
    return text
