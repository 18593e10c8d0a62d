"""What tested videos share with those that trained a model or chose its checkpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ffpp_prep.datasets.leaks import TESTED, Leak, audit_tested, audit_videos
from ffpp_prep.datasets.people import people
from ffpp_prep.format.joined import likeness_of
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.text.units import counted

NAMED = 5  # of identities and of pairs in a sentence
OTHERS = {
    "content": "{} of the tested files also trained the model or chose its checkpoint",
    "pictures": "{} of the tested videos with the pictures of a training or validation video",
    "original": "{} of the tested videos with the original of a training or validation video",
    "group": "{} of the tested videos in one group with a training or validation video",
    "label": "{} of the tested files labelled real and fake",
}
"""kinds of `ffpp_prep.datasets.leaks` besides people, and how many of a kind are told"""


@dataclass(frozen=True)
class Overlap:
    """Identities that stand on both sides, and how many of the tested videos show one of them."""

    identities: tuple[str, ...]
    """dataset/identity, sorted"""
    videos: int
    tested: int
    unknown: int = 0
    """tested videos that name nobody"""
    leaks: tuple[Leak, ...] = ()
    """what else is on both sides, where that was looked for"""
    unread: int = 0
    """files of either side that can't be read"""
    without_pictures: int = 0
    """videos of either side whose pictures `ffpp-prep boxes` didn't record"""

    @property
    def any(self) -> bool:
        """Whether anything is on both sides."""
        return bool(self.identities or self.leaks)

    def line(self) -> str:
        """Returns a few sentences for people; it names the pairs."""
        return " ".join([self._of_people(), *self._of_others(), *self._not_seen()])

    def _of_people(self) -> str:
        unknown = f" No person is named for {self.unknown:,} of them." if self.unknown else ""
        if self.identities:
            return (
                f"Identities of the training and validation videos in {self.videos:,} of the "
                f"{counted(self.tested, 'tested video')}: {_some(self.identities)}.{unknown}"
            )
        tested = counted(self.tested, "tested video")
        if self.unknown == self.tested:
            return f"None of {tested} says whom it shows: people in both sets can't be told."
        return f"No identity of the training and validation videos is in the {tested}.{unknown}"

    def _of_others(self) -> list[str]:
        told = []
        for kind, sentence in OTHERS.items():
            leaks = [leak for leak in self.leaks if leak.kind == kind]
            side = "fake" if kind == "label" else TESTED
            videos = {video for leak in leaks for video in leak.members[side]}
            pairs = [
                f"{b} is {a} ({of})" if kind == "content" else f"{b} and {a} ({of})"
                for a, of, b in _pairs(leaks)
            ]
            if leaks:
                told.append(f"{sentence.format(f'{len(videos):,}')}: {_some(pairs)}.")
        return told

    def _not_seen(self) -> list[str]:
        told = []
        if self.unread:
            told.append(f"Not compared, as unreadable: {counted(self.unread, 'file')} of both sets.")
        if self.without_pictures:
            told.append(
                f"Of {counted(self.without_pictures, 'video')} of both sets no pictures are recorded: among them "
                "copies that were encoded again can't be seen."
            )
        return told


def splits_leak(prepared: PreparedSet) -> tuple[Leak, ...]:
    """Returns what the splits of a set, or of several, share, as `ffpp-prep check-splits` says."""
    return audit_videos(likeness_of(prepared, prepared.videos)).leaks


def overlap(
    trained: PreparedSet, left_out: Sequence[str], tested: PreparedSet, videos: pd.DataFrame
) -> Overlap:
    """Returns what `videos` of the set `tested` share with the training and validation videos of `trained`.

    Args:
        trained: the set that a model was trained on.
        left_out: the methods that did not train it, nor choose its checkpoint.
        tested: the set of `videos`; the same one or another.
        videos: rows of its table.
    """
    met = trained.videos[trained.videos["split"].isin(("train", "val"))]
    met = met[~met["method"].isin(list(left_out))]
    known = likeness_of(trained, met)
    audit = audit_tested(known, likeness_of(tested, videos))
    leaks = audit.of(*OTHERS)
    people = identity_overlap(known, videos)
    return replace(people, leaks=leaks, unread=audit.unread, without_pictures=audit.without_pictures)


def identity_overlap(trained: pd.DataFrame, tested: pd.DataFrame) -> Overlap:
    """Returns the overlap of two tables with one row a video: `video_id`, `dataset`, `source_id`, `target_id`.

    Identities are known within a data set: person 003 of one is not person 003 of another. A fake shows both
    its source (whose face) and its target (whose video).
    """
    known, shown = people(trained), people(tested)
    shared = shown[shown["key"].isin(known["key"])]
    return Overlap(
        identities=tuple(sorted({name.replace(" ", "/", 1) for name in shared["name"]})),
        videos=int(shared["video_id"].nunique()),
        tested=len(tested),
        unknown=len(tested) - int(shown["video_id"].nunique()),
    )


def _pairs(leaks: Sequence[Leak]) -> list[tuple[str, str, str]]:
    """Returns the first pair of each leak: a known video, its split, the tested one; of a label, real and fake."""
    pairs = []
    for leak in leaks:
        pair = next(
            pair for pair in leak.each_pair() if leak.kind == "label" or TESTED in (pair[0][0], pair[1][0])
        )
        (side, video), (other, another) = pair
        pairs.append((video, side, another) if other in (TESTED, "fake") else (another, other, video))
    return pairs


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
