"""What was found, judged: a number for each face, one for the file, and what may be said about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from dfd_train.errors import NotANumber
from dfd_train.metrics.scores import sigmoid
from dfd_train.predict.analysis import Analysis, Media, Seconds
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.inputs import Input
from dfd_train.runs.folder import DEMONSTRATION
from ffpp_prep.text.printable import printable
from ffpp_prep.video import TooLarge, VideoError

FORMAT_VERSION = 1
SMALLEST_FACE = (
    40  # pixels of the box; a smaller face is mostly interpolation once enlarged to a network's input
)
FEW_VIDEOS = 50  # of a class: fewer are counted, as a share of them would look surer than it is
FEWEST_FRAMES = 3  # in which a face of a video is scored; fewer are as often a pattern that looks like one

Status = Literal["scored", "no_usable_face", "unreadable", "not_a_number", "internal_error"]
STATUSES: tuple[Status, ...] = get_args(Status)
Verdict = Literal["fake", "real"]


@dataclass(frozen=True)
class Face:
    """One person's face over time."""

    face: int
    """its number, from 1 in order of appearance, as in the annotated video"""
    first_s: float
    last_s: float
    frames_scored: int
    pixels: int
    """the shorter side of its box, median"""
    prob: float
    """mean over its frames of the probability that they are fake, 0 to 1"""
    lowest: float
    highest: float
    """probabilities of single frames"""
    left_out: str
    """why it does not count towards the file's number; empty where it does"""


@dataclass(frozen=True)
class Result:
    """The answer about one file; result.json is exactly this."""

    format_version: int
    identity: str
    """of the file's size and time, the models and what was asked for: with the same, nothing is scored again; empty
    where the next command is to try again in any case"""
    file: str
    path: str
    status: Status
    reason: str
    """why there is no number, or no verdict; may be empty"""
    prob: float | None
    """that of the face that looks most like a fake; None where no face is usable"""
    verdict: Verdict | None
    """prob above the threshold: fake; None where the model has no business to say"""
    threshold: float | None
    temperature: float
    models: tuple[str, ...]
    models_sha256: str
    note: str
    """what must stand beside every number, such as that the model is a demonstration"""
    meaning: tuple[str, ...]
    """sentences on what the number says and does not say"""
    faces: tuple[Face, ...]
    media: Media | None
    seconds: Seconds | None
    damage: str = ""
    """what could not be decoded of a file of which the rest was scored; may be empty"""


def judge(file: Input, analysis: Analysis, reading: Reading, identity: str) -> Result:
    """The result of an analysis."""
    faces = tuple(_faces(analysis, reading))
    usable = [face for face in faces if not face.left_out]
    highest = max(usable, key=lambda face: face.prob, default=None)
    prob = highest.prob if highest else None
    reason = ""
    verdict: Verdict | None = None
    if prob is None:
        reason = _why_no_face(analysis, faces)
    elif reading.demonstration:
        reason = f"no verdict: {DEMONSTRATION}"
    elif reading.threshold is None:
        reason = "no verdict: it is not known how often this model is wrong (no validation set)"
    else:
        verdict = "fake" if prob > reading.threshold else "real"
    return replace(
        _unanswered(file, reading, identity, reason),
        status="no_usable_face" if prob is None else "scored",
        prob=prob,
        verdict=verdict,
        meaning=(*_meaning(highest, usable, reading, analysis), *reading.remarks),
        faces=faces,
        media=analysis.media,
        seconds=analysis.seconds,
        damage=printable(analysis.error),
    )


def _meaning(
    highest: Face | None, usable: list[Face], reading: Reading, analysis: Analysis
) -> tuple[str, ...]:
    return meaning(highest.prob, reading, len(usable), _kind(highest, analysis)) if highest else ()


def unreadable(file: Input, error: Exception, reading: Reading, identity: str) -> Result:
    """The result for a file that can't be read: no readable picture or video, or no file at all."""
    reason = _reason(file, error)
    in_words = isinstance(error, TooLarge) or reason == "the file is empty"
    if not file.is_image and isinstance(error, VideoError) and not in_words:
        reason = f"this is not a video, or it is damaged ({reason})"
    return _unanswered(file, reading, identity, reason)


def not_a_number(file: Input, error: NotANumber, reading: Reading) -> Result:
    """The result for a file that a model gives no number for."""
    return replace(_unanswered(file, reading, "", _reason(file, error)), status="not_a_number")


def internal_error(file: Input, error: Exception, reading: Reading) -> Result:
    """The result for a file at which this program has failed."""
    said = f"{type(error).__name__}: {_reason(file, error)}"
    return replace(_unanswered(file, reading, "", said), status="internal_error")


def _reason(file: Input, error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return printable(said.removeprefix(f"{file.path.name}: "))


def _unanswered(file: Input, reading: Reading, identity: str, reason: str) -> Result:
    """What is known of a file before it is opened."""
    return Result(
        format_version=FORMAT_VERSION,
        identity=identity,
        file=file.shown_name,
        path=file.shown_path,
        status="unreadable",
        reason=reason,
        prob=None,
        verdict=None,
        threshold=reading.threshold,
        temperature=reading.temperature,
        models=reading.names,
        models_sha256=reading.sha256,
        note=DEMONSTRATION if reading.demonstration else "",
        meaning=(),
        faces=(),
        media=None,
        seconds=None,
    )


def frame_probs(faces: pd.DataFrame, reading: Reading) -> pd.Series:
    """Probability of fake of each row of an analysis, NaN where it was not scored."""
    return pd.Series(sigmoid(faces["logit"].to_numpy(np.float64) / reading.temperature), faces.index)


def meaning(prob: float, reading: Reading, faces: int, kind: str) -> tuple[str, ...]:
    """What a probability says and what it does not, in sentences for anybody.

    faces: how many count, of which `prob` is the highest. kind: video, image, or frame: a single one of a video.
    """
    which = "the face" if faces == 1 else "the face that looks most like a fake"
    how = {
        "video": "averaged over the frames",
        "image": "from this single picture",
        "frame": "from a single frame",
    }[kind]
    says = [f"{percent(prob)} is the model's own estimate, {how} of {which}.".capitalize()]
    if faces > 1:
        says.append(f"It is the highest of {faces} faces: the more faces, the likelier a high one.")
    if not reading.demonstration:
        says += _compared(prob, reading, kind)
    if prob <= (0.5 if reading.threshold is None else reading.threshold):
        says.append("A low score does not show that a file is real.")
    return (
        " ".join(says),
        "It is not the chance that this file is a fake. It holds for footage like the one the model learned from, if"
        " real and fake were equally frequent there; other kinds of manipulation, other cameras, heavy compression or"
        " edits can raise or lower it without warning. It looks at faces only: not at voices, captions or the scene.",
    )


def _kind(face: Face, analysis: Analysis) -> str:
    single = analysis.media.kind == "video" and face.frames_scored == 1
    return "frame" if single else analysis.media.kind


def _compared(prob: float, reading: Reading, kind: str) -> list[str]:
    """What is known of a score from the validation videos, and what that is worth."""
    known = reading.calibration
    if known is None:
        if reading.threshold is not None:
            return ["Its scale was set on the model's validation videos."]
        return ["Its scale was never checked against videos whose truth is known."]
    real, fake = known.shares_above(prob)
    high = prob > known.threshold
    if not high:
        real, fake = 1.0 - real, 1.0 - fake
    few = " and ".join(
        f"{count} {word}"
        for count, word in ((known.videos_fake, "fake"), (known.videos_real, "real"))
        if count < FEW_VIDEOS
    )
    return [
        f"Its scale was set on {known.videos_fake} fake and {known.videos_real} real videos that did not train it: of"
        f" those, {_part(fake, known.videos_fake, 'fake')} and {_part(real, known.videos_real, 'real')} scored"
        f" {'at least as high' if high else 'lower'}.",
        *([f"{few} videos are too few to mean much.".capitalize()] if few else []),
        *(
            ["They were scored by averages over videos, which vary less than a single picture."]
            * (kind != "video")
        ),
        "These videos chose the model's checkpoint and settings, so they flatter it.",
    ]


def _part(share: float, videos: int, word: str) -> str:
    """A share of some videos: counted where they are few."""
    if videos < FEW_VIDEOS:
        return f"{round(share * videos)} of {videos} {word}s"
    return f"{percent(share)} of the {word} ones"


def percent(prob: float) -> str:
    """A probability for people; never a false certainty."""
    if 0 < prob < 0.005:
        return "less than 1 %"
    if 0.995 < prob < 1:
        return "more than 99 %"
    return f"{100 * prob:.0f} %"


def short_percent(prob: float) -> str:
    """The same where there is little room."""
    return percent(prob).replace("less than ", "<").replace("more than ", ">")


def _faces(analysis: Analysis, reading: Reading) -> list[Face]:
    scored = analysis.faces.assign(prob=frame_probs(analysis.faces, reading)).dropna(subset="prob")
    needed = min(FEWEST_FRAMES, analysis.media.frames_scored)
    found = []
    for track, own in scored.groupby("track", sort=True):
        pixels = int(np.minimum(own["x2"] - own["x1"], own["y2"] - own["y1"]).median())
        reasons = []
        if pixels < SMALLEST_FACE:
            reasons.append(f"{pixels} pixels wide, {SMALLEST_FACE} are needed")
        if len(own) < needed:
            reasons.append(f"scored in {len(own)} frame{'s' * (len(own) > 1)}, {needed} are needed")
        found.append(
            Face(
                face=int(track) + 1,
                first_s=float(own["time"].iloc[0]),
                last_s=float(own["time"].iloc[-1]),
                frames_scored=len(own),
                pixels=pixels,
                prob=float(own["prob"].mean()),
                lowest=float(own["prob"].min()),
                highest=float(own["prob"].max()),
                left_out="; ".join(reasons),
            )
        )
    return found


def _why_no_face(analysis: Analysis, faces: tuple[Face, ...]) -> str:
    looked = analysis.media.frames_looked_at
    where = "the image" if analysis.media.kind == "image" else f"{looked} frame{'s' * (looked > 1)} looked at"
    if not faces:
        return (
            f"no face found in {where}; very small, turned or covered faces are missed "
            f"(the detector's highest score is {analysis.best_confidence:.2f}, "
            f"a face needs {analysis.media.threshold:.2f})"
        )
    if len(faces) == 1:
        return f"the only face found in {where} is not usable: {faces[0].left_out}"
    largest = max(faces, key=lambda face: (face.frames_scored, face.pixels))
    return f"none of {len(faces)} faces found in {where} is usable; the one seen most: {largest.left_out}"
