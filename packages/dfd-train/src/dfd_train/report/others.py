"""Scores of detectors that are none of our runs: a table of `video_id, score[, frame]`, judged on a run's videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.report.run import Predictions, Run
from ffpp_prep.format.tables import read_table
from ffpp_prep.text.units import counted, plural

Missing = Literal["refuse", "as-real", "as-fake", "as-chance"]
MISSING: tuple[Missing, ...] = get_args(Missing)
STANDS_FOR: dict[Missing, float] = {"as-real": 0.0, "as-fake": 1.0, "as-chance": 0.5}
UNKNOWN = ("", "NA", "N/A", "NaN", "nan", "null", "None")
"""how others write that a video has no score"""
CERTAIN = 745.0
"""the logit of a score of 0 or 1: that of the smallest float"""


@dataclass(frozen=True)
class OtherScores:
    """Another detector's scores, in the place of a run in tables of predictions."""

    name: str
    predictions: Predictions
    said: str
    """of how many videos the file has a score, and what the others count as"""
    model: str = "other scores"
    demonstration: bool = False

    def predicted(self, name: str) -> Predictions | None:
        """Returns the predictions of that name."""
        return self.predictions if self.predictions.name == name else None

    def evaluated(self, _predictions: Predictions) -> str:
        """Returns what a note says of them."""
        return self.said


Judged = Run | OtherScores


def read_scores(
    name: str, path: Path, videos: Predictions, missing: Missing = "refuse", partial: bool = False
) -> OtherScores:
    """Returns the scores in a CSV or Parquet file for the videos of a run's predictions, whose labels and people count.

    A score is in [0, 1], 1 is fake; a video's is the mean of its rows. A video without a row, or with an empty score
    only, is handled as `missing` says; with `partial` it is left out. Rows of other videos are passed over.

    Raises: UserError for a file that can't be read or doesn't fit, and for missing scores with `refuse`.
    """
    table = _table(path)
    wanted = videos.frames.drop_duplicates("video_id").drop(
        columns=["frame", "face", "logit"], errors="ignore"
    )
    known = table[table["video_id"].isin(wanted["video_id"]) & table["score"].notna()]
    if known.empty:
        examples = f"{_first(table['video_id'])!r} there, {_first(wanted['video_id'])!r} here"
        raise UserError(
            f"{path} has no score of any video of {videos.name}, which has {len(wanted):,} ({examples})"
            + ("; no run has test predictions yet (dfd-train evaluate RUN)" if videos.name != "test" else "")
        )
    lacking = wanted[~wanted["video_id"].isin(known["video_id"])]
    if len(lacking) and missing == "refuse" and not partial:
        raise UserError(
            f"{path} has no score of {len(lacking):,} of {len(wanted):,} {plural(len(wanted), 'video')}, such as "
            f"{_first(lacking['video_id'])}: --missing {', '.join(MISSING[1:-1])} or {MISSING[-1]} says what they "
            "count as, --common leaves them out"
        )
    said = f"{path.name} scores {len(wanted) - len(lacking):,} of {counted(len(wanted), 'video')}"
    if len(lacking) and missing != "refuse":
        filled = lacking[["video_id"]].assign(score=STANDS_FOR[missing], frame=0)
        known = pd.concat([known, filled], ignore_index=True)
        said += f", the others count {missing.replace('-', ' ')}"
    frames = known.merge(wanted, on="video_id")
    frames = frames.assign(logit=_logit(frames.pop("score").to_numpy(np.float64)))
    return OtherScores(name, Predictions(videos.name, frames, {}), said)


def judged_on(runs: Sequence[Run]) -> Predictions:
    """Returns the predictions whose videos other scores are judged on: those of test, else the first. Raises:
    UserError.
    """
    found = [one for run in runs for one in run.predictions]
    if not found:
        raise UserError(
            "--scores needs a run with predictions: its videos, labels and people are what counts"
        )
    return next((one for one in found if one.name == "test"), found[0])


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = read_table(path, "write it again").to_pandas()
        else:
            table = _csv(path)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's and pandas' errors derive from these
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path} can't be read as a table: {reason}") from None
    table = table.rename(columns=lambda column: str(column).strip())
    lacking = [column for column in ("video_id", "score") if column not in table]
    if lacking:
        raise UserError(f"{path} lacks the column {lacking[0]!r}; there are {sorted(table.columns)}")
    twice = table.columns[table.columns.duplicated()].intersection(["video_id", "score", "frame"])
    if len(twice):
        raise UserError(f"{path} has two columns {twice[0]!r}; which one counts?")
    score = pd.to_numeric(table["score"], errors="coerce").astype("float64")
    words = score.isna() & table["score"].notna()
    outside = words | (score < 0) | (score > 1)
    if outside.any():
        row = table[outside].iloc[0]
        found = f"{row['score']:g}" if isinstance(row["score"], Real) else repr(row["score"])
        raise UserError(
            f"{path}: the score of {row['video_id']} is {found}, must be between 0 (real) and 1; of a logit that is "
            "its sigmoid"
        )
    columns = ["video_id", "frame"] if "frame" in table else ["video_id"]
    doubled = table.duplicated(columns)
    if doubled.any():
        of_frames = "" if "frame" in table else "; several of one video need a column 'frame'"
        raise UserError(
            f"{path} has two rows of {' '.join(map(str, table.loc[doubled, columns].iloc[0]))}{of_frames}; a video_id "
            "is the whole path, as a run's predictions have it"
        )
    return pd.DataFrame(
        {"video_id": table["video_id"].astype("str"), "score": score, "frame": table.get("frame", 0)}
    )


def _csv(path: Path) -> pd.DataFrame:
    """Returns a CSV file's table under its own titles: pandas numbers those that stand twice, which hides them."""
    table = pd.read_csv(
        path,
        dtype={"video_id": "str"},
        skipinitialspace=True,
        keep_default_na=False,
        na_values={"score": list(UNKNOWN), "frame": list(UNKNOWN)},
    )
    titles = pd.read_csv(
        path, header=None, nrows=1, dtype="str", skipinitialspace=True, keep_default_na=False
    )
    return table.set_axis(titles.iloc[0].tolist(), axis=1) if titles.shape[1] == table.shape[1] else table


def _logit(score: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        logit = np.log(score) - np.log1p(-score)
    clipped: np.ndarray = np.clip(logit, -CERTAIN, CERTAIN)
    return clipped


def _first(ids: pd.Series) -> str:
    return str(ids.iloc[0]) if len(ids) else ""
