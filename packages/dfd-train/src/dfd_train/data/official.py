"""Which test videos their data set's authors hold out themselves, and which ones `ffpp-prep scan` drew."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.tables import read_metadata

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
    tested = videos["split"] == "test"
    for own, start in prepared.parts:
        here = (videos.index >= start) & (videos.index < start + len(own.videos))
        tested &= ~(here & videos["dataset"].isin(_drawn(own.work)))
    return tested


def _drawn(work: Path) -> list[str]:
    """Returns the data sets whose test videos `scan` drew; older scans say it in the words of their rules only."""
    if (names := _metadata(work).get(b"drawn_tests")) is not None:
        return list(json.loads(names))
    rules = [rule.partition(" splits: ") for rule in split_rules(work)]
    return [_DATASETS[name] for name, _, how in rules if name in _DATASETS and not _OFFICIAL.search(how)]


def _metadata(work: Path) -> dict[bytes, bytes]:
    return read_metadata(work / "videos.parquet", f"run  ffpp-prep scan ROOT -o {work}  again")
