"""What may be said of a file: fake, real, undecidable, or nothing, with the reason; and its most suspicious stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dfd_train.calibration.learned import Calibration
from dfd_train.calibration.limits import RISK, Limits, needed_groups
from dfd_train.calibration.stretches import worst_stretch
from dfd_train.metrics.scores import Floats
from dfd_train.predict.ensemble import Reading
from dfd_train.runs.folder import DEMONSTRATION
from ffpp_prep.text.units import counted

Verdict = Literal["fake", "real", "undecidable"]


@dataclass(frozen=True)
class Scored:
    """One face that counts: its frames' times (N,) in seconds and logits (N,), in order, and its value."""

    face: int
    time: Floats
    logit: Floats
    value: float
    doubt: str
    """why it may be no human face; empty where nothing says so"""


@dataclass(frozen=True)
class Stretch:
    """The frames of one face that look most like a fake, one after the other."""

    face: int
    start_s: float
    end_s: float
    """of its first and last frame"""
    seconds: float
    frames: int
    prob: float
    """of these frames as if they were all there is of the face"""
    suspicious: bool
    """higher than real files' worst stretches are at the stated risk, so many having been looked at"""


@dataclass(frozen=True)
class Ruling:
    """What is said of a file."""

    verdict: Verdict | None
    reason: str
    """why there is no verdict, or nothing is decided; empty where it is"""
    fake_above: float | None = None
    """probability above which this file is called fake; None where none would be"""
    real_below: float | None = None
    looks: int = 0
    """how many values the file's is the highest of"""


def rule(faces: Sequence[Scored], stretch: Stretch, reading: Reading) -> Ruling:
    """Returns the verdict about a file by its highest face; `faces`: all that count, at least one."""
    known = reading.calibration
    if reading.demonstration:
        return Ruling(None, f"no verdict: {DEMONSTRATION}")
    if known is None:
        return Ruling(None, "no verdict: it is not known how often this model is wrong")
    if lacking := known.lacking():
        return Ruling(None, f"no verdict: {lacking}")
    looks = known.looks([len(face.logit) for face in faces])
    limits = known.limits(looks)
    fake_above, real_below = (
        reading.score.prob(limit) if math.isfinite(limit) else None
        for limit in (limits.fake_above, limits.real_below)
    )
    verdict, reason = _decided(faces, stretch, known, limits, looks)
    return Ruling(verdict, reason, fake_above, real_below, looks)


def _decided(
    faces: Sequence[Scored], stretch: Stretch, known: Calibration, limits: Limits, looks: int
) -> tuple[Verdict | None, str]:
    highest = max(faces, key=lambda face: face.value)
    sure = [face.value for face in faces if not face.doubt and known.enough(len(face.logit))]
    if sure and max(sure) > limits.fake_above:
        return "fake", ""
    if highest.doubt:
        return None, f"no verdict: it is not certain that this is a human face ({highest.doubt})"
    if not known.enough(len(highest.logit)):
        return None, (
            f"no verdict: the face was scored in {counted(len(highest.logit), 'frame')}, those of the videos that "
            f"tested the model in {known.frames} each; how often it is wrong on so few is not known"
        )
    if highest.value < limits.real_below and not stretch.suspicious:
        return "real", ""
    if stretch.suspicious and known.score.over != "worst stretch":
        return "undecidable", "a part of it looks like a fake, the whole does not"
    if math.isinf(limits.fake_above):
        what = f"a file fake of which {looks} faces and parts were looked at" if looks > 1 else "a file fake"
        return "undecidable", (
            f"to call {what}, the model must have been tested on {needed_groups(looks)} real people; there "
            f"{'was' if known.reals.groups == 1 else 'were'} {known.reals.groups}"
        )
    return "undecidable", (
        "on the videos that tested the model, a verdict at such a score was wrong too often (more than "
        f"{100 * RISK:g} in 100 files)"
    )


def most_suspicious(faces: Sequence[Scored], reading: Reading) -> Stretch:
    """Returns the worst stretch over all faces that count, as long as its frames go on above the line.

    The line is the value above which a file would be called fake, else that of the best balanced accuracy, else zero.
    """
    score, known = reading.score, reading.calibration
    line = known.threshold_value if known else 0.0
    if known:
        limit = known.limits(known.looks([len(face.logit) for face in faces])).fake_above
        line = limit if math.isfinite(limit) else line
    worst = []
    for face in faces:
        logit = face.logit / score.frame_temperature
        worst.append((worst_stretch(logit).value, face, worst_stretch(logit, line)))
    value, face, found = max(worst, key=lambda one: one[0])
    suspicious = False
    if known and known.stretches.groups and not known.lacking():
        looks = known.stretch_looks([len(one.logit) for one in faces])
        suspicious = value > known.stretches.limit_above(RISK / looks)
    start, end = float(face.time[found.first]), float(face.time[found.last])
    return Stretch(
        face=face.face,
        start_s=start,
        end_s=end,
        seconds=end - start,
        frames=found.last - found.first + 1,
        prob=float(score.probs(np.array([found.value]))[0]),
        suspicious=suspicious,
    )
