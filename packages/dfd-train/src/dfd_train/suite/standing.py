"""How a tested set stands to what a model learned from: of its data sets, of others, or the very videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dfd_train.adopt.card import Card
from dfd_train.data.official import officially_tested
from dfd_train.data.overlap import Overlap
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.prepared import PreparedSet

Standing = Literal["in-set", "cross-set", "seen", "unknown"]
"""of a data set that also trained; of none; with videos that trained the model or chose its checkpoint; not known"""
UNNAMED = frozenset({"folder", "deepfakebench"})
"""what `scan` calls data sets of any origin: two of them need not be one"""


@dataclass(frozen=True)
class Learned:
    """What a model learned from, as far as it is known."""

    fingerprints: frozenset[str]
    """of its prepared sets, and of all of them as one"""
    datasets: frozenset[str] | None
    """of the fakes that trained it or chose its checkpoint; None: not known"""
    left_out: tuple[str, ...] = ()
    """methods that did neither"""
    splits_known: bool = True
    """whether the sets' own splits say which videos it learned from; else only their authors' test videos are new"""

    @classmethod
    def of_run(cls, folder: RunFolder, fingerprint: str, own: PreparedSet | None) -> Learned:
        """Takes it from the run's sets; where these are gone, from the run's record."""
        left_out = folder.read_config().data.exclude_methods
        if own is not None:
            used = own.videos[own.videos["split"].isin(("train", "val"))]
            used = used[~used["method"].isin(left_out)]
            known = frozenset((fingerprint, *(one.fingerprint for one, _ in own.parts)))
            return cls(known, frozenset(_datasets(used)), left_out)
        said = folder.read_data().get("datasets")
        return cls(frozenset((fingerprint,)), None if said is None else frozenset(said), left_out)

    @classmethod
    def of_card(cls, card: Card) -> Learned:
        """Takes it from a published detector's card."""
        known = frozenset(card.known_as) if card.trained_on or card.known_as else None
        return cls(frozenset(), known, splits_known=False)

    def standing(self, tested: PreparedSet, videos: pd.DataFrame, overlap: Overlap | None) -> Standing:
        """Returns how `videos` of a set stand to it; of an `overlap` only the same files count."""
        own = tested.fingerprint in self.fingerprints
        trained = videos["split"].isin(("train", "val")) & ~videos["method"].isin(self.left_out)
        if (own and trained.any()) or (overlap and any(leak.kind == "content" for leak in overlap.leaks)):
            return "seen"
        if own:
            return "in-set"
        if self.datasets is None:
            return "unknown"
        known = {name.lower() for name in self.datasets} - UNNAMED
        if not self.splits_known:
            of_known = videos["dataset"].astype(str).str.lower().isin(known)
            if (of_known & ~officially_tested(tested, videos)).any():
                return "seen"
        return "in-set" if known & {name.lower() for name in _datasets(videos)} else "cross-set"


def _datasets(videos: pd.DataFrame) -> Sequence[str]:
    """Returns the data sets of the fakes among the videos: whose forgeries these are; of videos without fakes, all."""
    fakes = videos[videos["label"] == 1]
    return sorted(set((videos if fakes.empty else fakes)["dataset"].dropna().astype(str)))
