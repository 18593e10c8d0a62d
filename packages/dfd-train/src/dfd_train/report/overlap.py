"""Whether people of the training videos appear among those a model is tested on."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Overlap:
    """Identities that stand on both sides, and how many of the tested videos show one of them."""

    identities: tuple[str, ...]
    """dataset/identity, sorted"""
    videos: int
    tested: int
    unknown: int = 0
    """tested videos that name nobody"""

    def line(self) -> str:
        """One sentence for people."""
        unknown = f" {self.unknown:,} of them do not say whom they show." if self.unknown else ""
        if not self.identities:
            return f"No identity of the training videos is among the {self.tested:,} tested ones.{unknown}"
        shown = ", ".join(self.identities[:5]) + (", …" if len(self.identities) > 5 else "")
        return (
            f"{len(self.identities):,} identities of the training videos are in {self.videos:,} of the "
            f"{self.tested:,} tested ones: {shown}.{unknown}"
        )


def identity_overlap(trained: pd.DataFrame, tested: pd.DataFrame) -> Overlap:
    """Overlap of two tables with one row a video: `video_id`, `dataset`, `source_id`, `target_id`.

    Identities are known within a data set: person 003 of one is not person 003 of another. A fake shows both
    its source (whose face) and its target (whose video).
    """
    known = set(_identities(trained)["identity"])
    shown = _identities(tested)
    shared = shown[shown["identity"].isin(known)]
    return Overlap(
        identities=tuple(sorted(set(shared["identity"]))),
        videos=int(shared["video_id"].nunique()),
        tested=len(tested),
        unknown=len(tested) - int(shown["video_id"].nunique()),
    )


def _identities(videos: pd.DataFrame) -> pd.DataFrame:
    """One row a video and person in it."""
    parts = [
        pd.DataFrame({"video_id": videos["video_id"], "dataset": videos["dataset"], "person": videos[column]})
        for column in ("source_id", "target_id")
    ]
    people = pd.concat(parts, ignore_index=True)
    people = people[people["person"].notna() & (people["person"] != "")]
    return people.assign(identity=people["dataset"].astype(str) + "/" + people["person"].astype(str))
