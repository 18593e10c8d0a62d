"""Whether a work folder has the crops (or boxes) that a digest names, and where not, in which way they differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.digests.make import digest_of
from ffpp_prep.digests.table import CORNERS, Digest, Header, read_digest
from ffpp_prep.format.codecs import CODECS
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.prepared_videos import read_prepared_videos
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.text.spreadsheet import cell

__all__ = ["KINDS", "Comparison", "Difference", "check_digest", "write_differences"]

SAME_PX = 0.01  # a box's corners; float32 of another processor differs by less
LOSSY = tuple(one.name for one in CODECS if not one.lossless)
ROUNDING = 1.0  # grey levels of a crop's mean: another decoder's rounding stays below

# What a row of a digest can turn out to be, in the order in which it is told.
KINDS = {
    "equal": "",
    "other decoder": "the same box, and pixels that differ by rounding: another decoder, or another version of it",
    "other picture": "the same box, and another picture: another copy of the video, or other frame numbers",
    "other geometry": "the same box, cut in another way; their pixels can't be compared",
    "other codec": "the same box, stored with losses by another codec; their pixels can't be compared",
    "other frame": "the same, under another frame number: a decoder that counts otherwise, or a video that was cut",
    "shifted": "the box is elsewhere: another detector, engine or threshold, or another copy of the video",
    "not here": "this work folder lacks them",
}
_KEY = ["video_id", "frame", "face"]


@dataclass(frozen=True)
class Difference:
    """The rows of a digest that turned out to be of one kind.

    Attributes:
        kind: one of KINDS.
        rows: how many.
        videos: how many videos they are of.
        detail: what is known of them, such as by how many pixels boxes are shifted.
        example: one of them.
    """

    kind: str
    rows: int
    videos: int
    detail: str = ""
    example: str = ""


@dataclass(frozen=True)
class Comparison:
    """What a work folder has of a digest.

    Attributes:
        rows: of the digest.
        videos: of the digest.
        found: how many rows are of which kind; kinds without rows are left out.
        only_here: rows of the work folder that the digest doesn't name.
        unlike: settings and versions that differ, a line each.
        table: one row a row of the digest that isn't equal: video_id, frame, face, kind, shift_px, mean_difference,
            frame_here (of the kind `other frame`).
        kind: `crops` or `boxes`.
    """

    rows: int
    videos: int
    found: tuple[Difference, ...]
    only_here: int
    unlike: tuple[str, ...]
    table: pd.DataFrame
    kind: str

    @property
    def equal(self) -> bool:
        """Whether every row of the digest is here and equal."""
        return all(difference.kind == "equal" for difference in self.found)


def check_digest(work: str | Path, digest: str | Path, jobs: int = 1) -> Comparison:
    """Compares a work folder with a digest.

    Args:
        work: the folder.
        digest: a file that `make_digest` wrote, here or elsewhere.
        jobs: processes, one shard or part each.

    Raises:
        UserError: the digest isn't one, or the folder has no crops.
    """
    theirs = read_digest(Path(digest))
    videos, _ = read_prepared_videos(work)
    header, table = digest_of(Path(work), videos, theirs.header.kind, jobs)
    ours = Digest(header, table.to_pandas())
    return _compared(theirs, ours, dict(zip(videos["video_id"], videos["status"], strict=True)))


def write_differences(found: Comparison, path: Path) -> None:
    """Writes `found.table` as CSV, whole or not at all."""
    with whole_file(path) as temporary:
        found.table.assign(video_id=found.table["video_id"].map(cell)).to_csv(temporary, index=False)


def _compared(theirs: Digest, ours: Digest, statuses: dict[str, str]) -> Comparison:
    names = sorted({*theirs.rows["video_id"].cat.categories, *ours.rows["video_id"].cat.categories})
    sides = [
        digest.rows.assign(video_id=pd.Categorical(digest.rows["video_id"], names))
        for digest in (theirs, ours)
    ]
    both = sides[0].merge(sides[1], how="left", on=_KEY, suffixes=("", "_here"), indicator="side")
    here = (both["side"] == "both").to_numpy()
    shift = np.max([np.abs(both[name] - both[f"{name}_here"]) for name in CORNERS], axis=0)
    same_box = shift <= SAME_PX
    kind = np.select([~here, ~same_box], ["not here", "shifted"], "equal").astype(object)
    mean = np.full(len(both), np.nan)
    if theirs.header.kind == "crops":
        mean = (both["mean_here"] - both["mean"]).to_numpy()
        equal = (both["sha256"] == both["sha256_here"]).to_numpy()
        size = ((both["height"] == both["height_here"]) & (both["width"] == both["width_here"])).to_numpy()
        otherwise = here & same_box & ~equal
        kind[here & equal] = "equal"  # a box that moved by less than a pixel may cut the same
        kind[otherwise] = "other picture"
        kind[otherwise & size & (np.abs(mean) <= ROUNDING)] = "other decoder"
        codecs = theirs.header.codec, ours.header.codec
        if codecs[0] != codecs[1] and any(name in codecs for name in LOSSY):
            kind[otherwise] = "other codec"
        if theirs.header.geometry != ours.header.geometry:
            kind[otherwise] = "other geometry"
    frame_here = _elsewhere(both, sides[1], kind == "equal", theirs.header.kind)
    kind[~np.isnan(frame_here)] = "other frame"
    rows = pd.DataFrame(
        {
            **both[_KEY],
            "kind": kind,
            "shift_px": shift,
            "mean_difference": mean,
            "frame_here": frame_here,
        }
    )
    return Comparison(
        rows=len(rows),
        videos=int(rows["video_id"].nunique()),
        found=tuple(
            _told(name, rows[rows["kind"] == name], statuses) for name in KINDS if (kind == name).any()
        ),
        only_here=len(ours.rows) - int(here.sum()),
        unlike=tuple(_unlike(theirs.header, ours.header)),
        table=rows[rows["kind"] != "equal"].reset_index(drop=True),
        kind=theirs.header.kind,
    )


def _elsewhere(
    both: pd.DataFrame, ours: pd.DataFrame, equal: NDArray[np.bool_], kind: str
) -> NDArray[np.float64]:
    """Returns under which frame of the same video the work folder has what it doesn't have under the digest's; NaN
    where it has it nowhere, or there.
    """
    same = ["video_id", "sha256"] if kind == "crops" else ["video_id", *CORNERS]
    frames = ours.drop_duplicates(same).set_index(same)["frame"].rename("elsewhere")
    found = both.loc[~equal, same].join(frames, on=same)["elsewhere"]
    frame: NDArray[np.float64] = found.reindex(both.index).to_numpy(np.float64)
    return frame


def _told(kind: str, rows: pd.DataFrame, statuses: dict[str, str]) -> Difference:
    first = rows.iloc[0]
    example = f"{first.video_id}, frame {first.frame}, face {first.face}"
    detail = ""
    if kind == "shifted":
        detail = f"by {rows['shift_px'].min():.2f} to {rows['shift_px'].max():.2f} pixels"
    elif kind == "other frame":
        moved = (rows["frame_here"] - rows["frame"]).astype(int)
        detail = f"here by {moved.min():+d}" + (f" to {moved.max():+d}" if moved.nunique() > 1 else "")
    elif kind == "other decoder":
        detail = f"their means differ by up to {rows['mean_difference'].abs().max():.3f} grey levels"
    elif kind == "not here":
        detail = _why_not_here(rows, statuses)
    return Difference(
        kind, len(rows), int(rows["video_id"].nunique()), detail, "" if kind == "equal" else example
    )


def _why_not_here(rows: pd.DataFrame, statuses: dict[str, str]) -> str:
    """Returns why rows are missing, counted: of videos that aren't listed, that failed, or that have no such crop."""
    status = rows["video_id"].astype(object).map(statuses)
    reason = status.where(~status.isin(USABLE), "of videos that lack this frame or face")
    reason = reason.fillna("of videos that scan doesn't list").replace(
        "not_done", "of videos that boxes hasn't seen"
    )
    counts = reason.value_counts()
    return ", ".join(f"{count} {_words(str(why))}" for why, count in counts.items())


def _words(why: str) -> str:
    return why if why.startswith("of videos") else f"of videos with status {why}"


def _unlike(theirs: Header, ours: Header) -> list[str]:
    pairs: list[tuple[str, Any, Any]] = [
        (name, theirs.detection.get(name, "not said"), ours.detection.get(name, "not said"))
        for name in sorted(
            {*theirs.detection, *ours.detection} - {"margin"}
        )  # of recorded squares, not of crops
    ]
    for name in ("margin", "border", "size", "align"):
        pairs.append((name, getattr(theirs.geometry, name, None), getattr(ours.geometry, name, None)))
    pairs += [
        ("codec", theirs.codec, ours.codec),
        ("decoder's version", theirs.versions.decoder, ours.versions.decoder),
        ("ffpp-prep", theirs.versions.ffpp_prep, ours.versions.ffpp_prep),
    ]
    return [f"{name}: {their!r} there, {our!r} here" for name, their, our in pairs if their != our]
