"""Which videos of a split take part, which pairs they form, and whether splits leak into each other.

Nothing is dropped silently: every video that is left out is counted under its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from dfd_train.data.several import UNKNOWN
from dfd_train.errors import UserError
from ffpp_prep.format.prepared_videos import altered_by_row
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.text.units import counted

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Count:
    """How many videos were left out, and why."""

    reason: str
    videos: int


@dataclass(frozen=True)
class Selection:
    """The usable videos of one split."""

    split: str
    videos: pd.DataFrame
    """rows of the prepared set's table, its row numbers kept as index"""
    left_out: tuple[Count, ...]

    def summary(self) -> str:
        """Returns one line: how many of each label, and what was left out."""
        fake = int((self.videos["label"] == 1).sum())
        reasons = ", ".join(f"{count.videos} {count.reason}" for count in self.left_out) or "none"
        return f"{self.split}: {fake:,} fake and {counted(len(self.videos) - fake, 'real video')}; left out: {reasons}"


class Pair(NamedTuple):
    """A fake and its original, as rows of the prepared set's table."""

    fake: int
    real: int


def select_videos(
    videos: pd.DataFrame, split: str, *, multiple_faces: str = "drop", exclude_methods: Sequence[str] = ()
) -> Selection:
    """Returns the usable videos of a split: readable, with a face, and (as the thesis has it) with one face at a time.

    Split "all" is every video, whatever its split. With `multiple_faces` "touched", `videos` are of `with_places`.

    Raises: UserError for an unknown split or method, or where nothing is left.
    """
    if split not in (*SPLITS, "all"):
        raise UserError(f"split is {split!r}; allowed: {', '.join(SPLITS)}, all")
    unknown = sorted(set(exclude_methods) - set(videos["method"]))
    if unknown:
        known = ", ".join(sorted(set(videos["method"])))
        raise UserError(f"exclude_methods names {', '.join(unknown)}; the data has {known}")
    chosen = in_split(videos, split)
    if chosen.empty:
        none = all(in_split(videos, one).empty for one in SPLITS)
        advice = ", nor in any: folders train/, val/ and test/, or a table's column split, give one" * none
        raise UserError(f"no video is in split {split!r}{advice}")
    reason = pd.Series("", index=chosen.index)
    reason[chosen["multiple_faces"] & (multiple_faces == "drop")] = "multiple faces"
    if multiple_faces == "touched":
        reason[chosen["multiple_faces"] & chosen[UNKNOWN]] = "touched face unknown"
    reason[chosen["method"].isin(list(exclude_methods))] = "excluded method"
    unreadable = ~chosen["status"].isin(USABLE) | (chosen["frames_decoded"] < 1)
    reason[unreadable] = chosen["status"][unreadable].str.replace("_", " ")
    if split == "train":
        unaltered = [row for row, altered in altered_by_row(chosen[reason == ""]).items() if not altered]
        reason[unaltered] = "no frame in fake_segments"
    counts = reason[reason != ""].value_counts().sort_index()
    usable = chosen[reason == ""]
    left_out = tuple(Count(str(name), int(number)) for name, number in counts.items())
    if usable.empty:
        reasons = ", ".join(f"{count.videos} {count.reason}" for count in left_out)
        raise UserError(f"no usable video in split {split!r}: {reasons}; {_way_out(left_out)}")
    return Selection(split, usable, left_out)


def only_real(selection: Selection) -> Selection:
    """Returns the real videos of a selection, of which blends are made. Raises: UserError where there are none."""
    fake = selection.videos["label"] == 1
    if fake.all():
        raise UserError(f"blends need real videos: {selection.summary()}")
    left_out = (*selection.left_out, Count("fake, as blends are made of real ones", int(fake.sum())))
    return replace(
        selection, videos=selection.videos[~fake], left_out=left_out if fake.any() else selection.left_out
    )


def _way_out(left_out: Sequence[Count]) -> str:
    """Returns what would take the videos that are left out for the most frequent reason."""
    most = max(left_out, key=lambda count: count.videos).reason
    ways = {
        "not done": "run `ffpp-prep boxes WORK`",
        "multiple faces": "--multiple-faces keep (data.multiple_faces) takes the best face of each frame, touched the "
        "manipulated one",
        "touched face unknown": "`ffpp-prep check-fakes WORK` finds it if the originals are there",
        "excluded method": "name fewer methods in --exclude-methods (data.exclude_methods)",
    }
    return ways.get(most, "`ffpp-prep status WORK` says why for each")


def usable_by_split(videos: pd.DataFrame, multiple_faces: str, exclude_methods: Sequence[str]) -> str:
    """Returns how many videos of each split can be used, in a line, so that an empty test split is seen
    before training.
    """
    counts = []
    for split in SPLITS:
        try:
            chosen = select_videos(
                videos,
                split,
                multiple_faces=multiple_faces,
                exclude_methods=exclude_methods if split != "test" else (),
            ).videos
            counts.append(
                f"{split} {(chosen['label'] == 0).sum():,} real and {(chosen['label'] == 1).sum():,} fake"
            )
        except UserError as error:
            counts.append(f"{split} none ({error})")
    return f"usable videos: {'; '.join(counts)}"


def in_split(videos: pd.DataFrame, split: str) -> pd.DataFrame:
    """Returns the videos of a split, usable or not; all of them for "all"."""
    return videos if split == "all" else videos[videos["split"] == split]


def make_pairs(videos: pd.DataFrame) -> tuple[list[Pair], int]:
    """Returns each fake with its original, in the table's order, and how many fakes lack a usable original.

    Raises: UserError where no pair can be made.
    """
    fakes = videos[videos["original_id"].notna() & (videos["original_id"] != "")]
    real_rows = pd.Series(videos.index, index=videos["video_id"])
    matched = fakes["original_id"].map(real_rows)
    pairs = [Pair(int(fake), int(real)) for fake, real in matched.dropna().items()]
    if not pairs:
        raise UserError(
            "no fake has its original among the usable videos: batches of pairs need both, "
            "--batches shuffled needs none"
        )
    return pairs, int(matched.isna().sum())


def shuffle_labels(videos: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Returns the table with labels shuffled within the training and within the validation split: the chance control.

    As many videos as before are called fake, and the same share of the fakes as of the reals. A plain permutation of
    few videos correlates with the truth by chance, either way, and a network finds that.
    """
    labels = videos["label"].to_numpy().copy()
    for number, split in enumerate(("train", "val")):
        random = np.random.default_rng([seed, number])
        rows = np.flatnonzero(videos["split"] == split)
        fakes, reals = (random.permutation(rows[labels[rows] == label]) for label in (1, 0))
        from_fakes = round(len(fakes) ** 2 / max(1, len(rows)))
        labels[rows] = 0
        labels[fakes[:from_fakes]] = 1
        labels[reals[: len(fakes) - from_fakes]] = 1
    return videos.assign(label=labels)
