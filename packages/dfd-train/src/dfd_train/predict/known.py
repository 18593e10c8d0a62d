"""What flatters or harms a model on a labelled set: videos that it has met, and faces cut otherwise than it knows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from dfd_train.data.geometry import CropGeometry
from dfd_train.data.prepared import PreparedSet, load_prepared
from dfd_train.data.selection import Selection
from dfd_train.predict.scorer import Facts, Scorer
from dfd_train.report.overlap import identity_overlap, same_files
from dfd_train.runs import RunFolder

log = logging.getLogger(__name__)


def warn_of_differences(scorers: Sequence[Scorer], prepared: PreparedSet, selection: Selection) -> None:
    """A line for each model that knows other crops than the set's, and for each that may have met its videos."""
    for facts in (scorer.facts for scorer in scorers):
        if facts.geometry != prepared.geometry:
            own, theirs = _text(facts.geometry), _text(prepared.geometry)
            log.warning("%s knows crops of %s; those of %s have %s", facts.name, own, prepared.work, theirs)
        met = _met(facts, prepared, selection)
        if met:
            log.warning("%s: %s", facts.name, met)


def _met(facts: Facts, prepared: PreparedSet, selection: Selection) -> str:
    """What the model knows of the selected videos, in a sentence; empty where it knows none of them."""
    unknown = f"it can't be told which videos of {prepared.work} trained it"
    if facts.kind != "run":
        return unknown
    try:
        record = json.loads((facts.path / "data.json").read_text(encoding="utf-8"))
        if record["fingerprint"] == prepared.fingerprint:
            chose = "these videos chose its checkpoint and its temperature"
            return chose if selection.split == "val" else ""
        trained = _trained(facts.path, Path(record["work"]))
        overlap = identity_overlap(trained, selection.videos)
        overlap = replace(overlap, files=same_files(trained, selection.videos))
    except (OSError, KeyError, ValueError) as error:
        return f"{unknown} ({' '.join(str(error).split())})"
    return overlap.line() if overlap.identities or overlap.files or overlap.unknown else ""


def _trained(run: Path, work: Path) -> pd.DataFrame:
    """The videos that trained a run."""
    videos = load_prepared(work).videos
    left_out = videos["method"].isin(RunFolder(run).read_config().data.exclude_methods)
    return videos[(videos["split"] == "train") & ~left_out]


def _text(geometry: CropGeometry) -> str:
    size = f"{geometry.size} pixels" if geometry.size else "native size"
    return f"margin {geometry.margin:g}, border {geometry.border}, {size}"
