"""What flatters or harms a model on a labelled set: videos that it has met, and faces cut otherwise than it knows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dfd_train.data.overlap import overlap
from dfd_train.data.selection import Selection
from dfd_train.errors import UserError
from dfd_train.predict.scorer import Facts, Scorer
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.joined import open_sets
from ffpp_prep.format.prepared import PreparedSet

log = logging.getLogger(__name__)


def warn_of_differences(scorers: Sequence[Scorer], prepared: PreparedSet, selection: Selection) -> None:
    """Warns of each model that knows other crops than the set's, and of each that may have met its videos."""
    for facts in (scorer.facts for scorer in scorers):
        if facts.geometry != prepared.geometry:
            own, theirs = _text(facts.geometry), _text(prepared.geometry)
            log.warning("%s knows crops of %s; those of %s have %s", facts.name, own, prepared.work, theirs)
        met = _met(facts, prepared, selection)
        if met:
            log.warning("%s: %s", facts.name, met)


def _met(facts: Facts, prepared: PreparedSet, selection: Selection) -> str:
    """Returns what the model knows of the selected videos, in a sentence; empty where it knows none of them."""
    unknown = f"it can't be told which videos of {prepared.work} trained it"
    if facts.kind != "run":
        return unknown
    try:
        record = RunFolder(facts.path).read_data()
        if record["fingerprint"] == prepared.fingerprint:
            chose = "these videos chose its checkpoint and its temperature"
            return chose if selection.split == "val" else ""
        trained = open_sets(RunFolder(facts.path).works())
        left_out = RunFolder(facts.path).read_config().data.exclude_methods
        shared = overlap(trained, left_out, prepared, selection.videos)
    except (OSError, KeyError, UserError) as error:
        return f"{unknown} ({' '.join(str(error).split())})"
    return shared.line() if shared.any or shared.unknown else ""


def _text(geometry: CropGeometry) -> str:
    size = f"{geometry.size} pixels" if geometry.size else "native size"
    aligned = f", aligned as {geometry.align}" if geometry.align else ""
    return f"margin {geometry.margin:g}, border {geometry.border}, {size}{aligned}"
