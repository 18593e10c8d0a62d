"""Which test videos their data set's authors hold out themselves, and which ones `ffpp-prep scan` drew."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.tables import read_metadata
from ffpp_prep.text.typed import typed

__all__ = ["officially_tested", "split_rules"]

_DATASETS = {"FaceForensics++": "ffpp", "DeepFakeDetection": "dfd", "DFDC": "dfdc", "Celeb-DF": "celebdf"}
"""of a rule's first words"""
_OFFICIAL = re.compile(r"(?<!not )the official ones|(?<!no )official test list")


def split_rules(work: Path) -> list[str]:
    """Returns how `scan` divided data sets that came without splits, such as DFDC; nothing for older scans."""
    return list(json.loads(_metadata(work).get(b"split_rules", b"[]")))


def officially_tested(prepared: PreparedSet, videos: pd.DataFrame) -> pd.Series:
    """Returns, by row, whether a video is of the test split of its data set's authors.

    Videos of DFDC's parts are never: Kaggle gave all of them for training, and `scan` draws what tests.
    """
    ours = np.concatenate([_divided_here(own.work, own.videos) for own, _ in prepared.parts])
    return (videos["split"] == "test") & ~ours[videos.index]


def _divided_here(work: Path, videos: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Returns whose split `scan` chose, by row; older scans say it in the words of their rules only, by data set."""
    if "split_by" in videos:
        return np.asarray(videos["split_by"] == "scan", np.bool_)
    rules = [rule.partition(" splits: ") for rule in split_rules(work)]
    drawn = [_DATASETS[name] for name, _, how in rules if name in _DATASETS and not _OFFICIAL.search(how)]
    return np.asarray(videos["dataset"].isin(drawn), np.bool_)


def _metadata(work: Path) -> dict[bytes, bytes]:
    return read_metadata(work / "videos.parquet", f"run  ffpp-prep scan ROOT -o {typed(work)}  again")
