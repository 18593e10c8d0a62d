"""Several models as one: the mean of their logits, how to read it, and what it gains on labelled videos."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from dfd_train.calibration.kept import validation_predictions
from dfd_train.calibration.learned import Calibration, calibrate
from dfd_train.calibration.score import OVER, DeployedScore
from dfd_train.data.batches import plan_evaluation
from dfd_train.data.cuts import cut
from dfd_train.data.selection import select_videos
from dfd_train.engine.score import prediction_table
from dfd_train.errors import UserError
from dfd_train.metrics import summarize
from dfd_train.metrics.videos import Pooling
from dfd_train.predict.known import warn_of_differences
from dfd_train.predict.scorer import BATCH, Facts, Scorer
from dfd_train.report.table import Table, number, percent, words
from dfd_train.runs.folder import DEMONSTRATION
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted

log = logging.getLogger(__name__)

FRAME = ["video_id", "frame", "face"]


@dataclass(frozen=True)
class Reading:
    """How the mean logit of one or several models is read."""

    names: tuple[str, ...]
    sha256: str
    """changes with any of the models or with how they are read"""
    demonstration: bool
    score: DeployedScore
    calibration: Calibration | None
    unfinished: str = ""
    """which of the models are of unfinished runs, and how far these came; empty where none is"""
    remarks: tuple[str, ...] = ()
    """of published detectors among them, sentences for each page"""
    facts: tuple[Facts, ...] = ()
    """of each model"""

    @property
    def title(self) -> str:
        """The models' names in one line."""
        return " + ".join(self.names)


def read_together(scorers: Sequence[Scorer]) -> Reading:
    """Returns one model's own reading, or that of the mean of several: calibrated anew on their common
    validation videos.

    Nothing is scored for that: `engine.validation` sees to it that runs have their validation predictions.
    """
    facts = [scorer.facts for scorer in scorers]
    calibration, score = facts[0].calibration, facts[0].score
    if len(facts) > 1:
        calibration = _common_calibration(scorers)
        mean = float(np.mean([one.temperature for one in facts]))
        score = (
            calibration.score
            if calibration
            else DeployedScore(over=OVER[_pooling(facts)], frame_temperature=mean)
        )
    read = msgspec.json.encode((score, calibration)).decode()
    identity = [*(one.sha256 for one in facts), read]
    precisions = {one.precision for one in facts}
    if "bf16" in precisions:  # of all, or of none: others are as their weights are
        identity += sorted(precisions)
    return Reading(
        names=tuple(one.name for one in facts),
        sha256=hashlib.sha256("\n".join(identity).encode()).hexdigest(),
        demonstration=any(one.demonstration for one in facts),
        score=score,
        calibration=calibration,
        unfinished="; ".join(f"{one.name}: {one.unfinished}" for one in facts if one.unfinished),
        remarks=tuple(dict.fromkeys(remark for one in facts for remark in one.remarks)),
        facts=tuple(facts),
    )


def gain_table(scorers: Sequence[Scorer], work: Path, split: str, frames: int = 12) -> Table:
    """Returns each model alone and the mean of their logits on a split of a prepared set.

    Raises: FileNotFoundError, UserError where the set or the split can't be used, or has one class only.
    """
    prepared = load_prepared(work)
    selection = select_videos(prepared.videos, split)
    if selection.videos["label"].nunique() < 2:
        raise UserError(f"a gain needs real and fake videos: {selection.summary()}")
    warn_of_differences(scorers, prepared, selection)
    (samples, *_) = plan_evaluation(selection.videos, frames, len(selection.videos) * frames).batches
    logits: list[list[np.ndarray]] = [[] for _ in scorers]
    sets = [  # a run has the stored crops, a published detector those that it is used to
        prepared.cut_as(scorer.facts.geometry, cut) if scorer.facts.kind == "adopted" else prepared
        for scorer in scorers
    ]
    for start in bar(range(0, len(samples), BATCH), "labelled set", unit="batch"):
        some = samples[start : start + BATCH]
        for own, scorer, seen in zip(logits, scorers, sets, strict=True):
            own.append(scorer.logits([seen.read_crop_at(one.video, one.frame, one.face) for one in some]))
    columns = [np.concatenate(own) for own in logits]
    facts = [scorer.facts for scorer in scorers]
    names, poolings = [one.name for one in facts], [_pooling([one]) for one in facts]
    if len(scorers) > 1:
        columns.append(np.mean(columns, axis=0))
        names.append("mean logit of all")
        poolings.append(_pooling(facts))
    rows, aucs = [], []
    for name, column, pooling in zip(names, columns, poolings, strict=True):
        one = summarize(prediction_table(selection.videos, samples, column), pooling)
        aucs.append(one.video_auc)
        rows.append(
            (words(name), number(one.video_auc, 4), percent(one.balanced_accuracy), number(one.log_loss, 4))
        )
    demonstration = prepared.demonstration or any(one.facts.demonstration for one in scorers)
    return Table(
        f"Split {split} of {work.resolve().name}: {counted(len(selection.videos), 'video')}",
        ("Model", "AUC", "Balanced accuracy", "Log loss"),
        tuple(rows),
        notes=(_gain(aucs),) if len(scorers) > 1 else (),
        slug="gain",
        warning=DEMONSTRATION if demonstration else "",
    )


def _gain(aucs: list[float]) -> str:
    return f"AUC of the mean logit less that of the best single model: {aucs[-1] - max(aucs[:-1]):+.4f}"


def _common_calibration(scorers: Sequence[Scorer]) -> Calibration | None:
    """Calibrates the mean logit on the validation frames that all runs scored; None if they have none in common.

    None too, with a warning, where a run's validation predictions are not at hand.
    """
    if any(
        scorer.facts.kind not in ("run", "adopted") or scorer.facts.calibration is None for scorer in scorers
    ):
        return None
    try:
        tables = [validation_predictions(scorer.facts.path) for scorer in scorers]
    except (OSError, UserError) as error:
        log.warning("no common calibration, so no verdicts: %s", " ".join(str(error).split()))
        return None
    named = [
        own[[*FRAME, "label", "logit"]].rename(columns={"logit": f"logit_{i}"})
        for i, own in enumerate(tables)
    ]
    # whom the videos show stands in each of the tables alike
    known = tables[0].drop(columns="logit")
    joined: pd.DataFrame = reduce(lambda a, b: a.merge(b, on=[*FRAME, "label"]), named, known)
    joined = joined.assign(logit=joined.filter(like="logit_").mean(axis=1))
    if joined["label"].nunique() < 2:
        return None
    facts = [scorer.facts for scorer in scorers]
    return calibrate(joined, ",".join(one.sha256 for one in facts), _pooling(facts))


def _pooling(facts: Sequence[Facts]) -> Pooling:
    """Returns the pooling that all models have in common, as seven of DFDC's winner have; else the mean."""
    found = {pooling for pooling, over in OVER.items() for one in facts if one.plain.over == over}
    return found.pop() if len(found) == 1 else "mean"
