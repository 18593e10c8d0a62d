"""Whether people or files of the training videos appear among those a model is tested on."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ffpp_prep.datasets.people import people

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overlap:
    """Identities that stand on both sides, and how many of the tested videos show one of them."""

    identities: tuple[str, ...]
    """dataset/identity, sorted"""
    videos: int
    tested: int
    unknown: int = 0
    """tested videos that name nobody"""
    files: tuple[str, ...] = ()
    """tested videos whose file is that of a training video, where that was looked for"""

    def line(self) -> str:
        """One or a few sentences for people."""
        unknown = f" {self.unknown:,} of them do not say whom they show." if self.unknown else ""
        if self.identities:
            people = (
                f"{len(self.identities):,} identities of the training videos are in {self.videos:,} of the "
                f"{self.tested:,} tested ones: {_some(self.identities)}.{unknown}"
            )
        elif self.unknown == self.tested:
            people = f"None of the {self.tested:,} tested videos says whom it shows: people in both sets can't be told."
        else:
            people = f"No identity of the training videos is among the {self.tested:,} tested ones.{unknown}"
        if not self.files:
            return people
        return f"{people} {len(self.files):,} of the tested files are training videos: {_some(self.files)}."


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def overlap(trained: pd.DataFrame, tested: pd.DataFrame) -> Overlap:
    """Of people and of files: see the two below. Where a file can't be read there is a warning, and of people only."""
    people = identity_overlap(trained, tested)
    try:
        return replace(people, files=same_files(trained, tested))
    except OSError as error:
        log.warning("files cannot be compared: %s", error)
        return people


def identity_overlap(trained: pd.DataFrame, tested: pd.DataFrame) -> Overlap:
    """Overlap of two tables with one row a video: `video_id`, `dataset`, `source_id`, `target_id`.

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


def same_files(trained: pd.DataFrame, tested: pd.DataFrame) -> tuple[str, ...]:
    """`video_id` of the tested videos whose file is a training video's, by `path` or by content, sorted.

    Only files of equal size and another path are read.

    Raises: OSError where one of them can't be read.
    """
    own, asked = set(trained["path"]), set(tested["path"])
    sizes, others = _by_size(own), _by_size(asked - own)
    both = sizes.keys() & others.keys()
    known = {_sha256(path) for size in both for path in sizes[size]}
    shared = (own & asked) | {path for size in both for path in others[size] if _sha256(path) in known}
    return tuple(sorted(tested.loc[tested["path"].isin(shared), "video_id"]))


def _by_size(paths: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in paths:
        if Path(path).is_file():
            found.setdefault(Path(path).stat().st_size, []).append(path)
    return found


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
