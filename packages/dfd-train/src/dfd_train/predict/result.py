"""What was found, judged: a number for each face, one for the file, and what may be said about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from dfd_train.calibration.score import FEWEST_FRAMES
from dfd_train.errors import NotANumber
from dfd_train.predict.analysis import Analysis, Media, Seconds, Span
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import Evidence
from dfd_train.predict.face_checks import doubt
from dfd_train.predict.inputs import Input
from dfd_train.predict.places import without_places
from dfd_train.predict.verdicts import Scored, Stretch, Verdict, most_suspicious, rule
from dfd_train.predict.words import looked_at, meaning
from dfd_train.predict.worst import Explanation
from dfd_train.runs.folder import DEMONSTRATION
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted
from ffpp_prep.video import SoundOnly, TooLarge, VideoError

FORMAT_VERSION = 3
SMALLEST_FACE = (
    40  # pixels of the box; a smaller face is mostly interpolation once enlarged to a network's input
)
NO_VIDEO = "this is not a video, or it is damaged"
ALIKE = 0.005  # of frames' probabilities: less is the same percentage

Status = Literal["scored", "no_usable_face", "unreadable", "not_a_number", "internal_error"]
STATUSES: tuple[Status, ...] = get_args(Status)


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
    """that it is fake, 0 to 1, by the deployed score of its frames"""
    lowest: float
    highest: float
    """probabilities of single frames"""
    left_out: str
    """why it does not count towards the file's number; empty where it does"""
    value: float = 0.0
    """what the probability is of, on the logit scale: it still tells scores apart that print as 100 %"""
    doubt: str = ""
    """why it may be no human face; empty where nothing says so"""


@dataclass(frozen=True)
class Result:
    """The answer about one file; result.json is exactly this, and a checksum. `result.schema.json` describes it."""

    format_version: int
    identity: str
    """of the file's size and time, the models and what was asked for: with the same, nothing is scored again; empty
    where the next command is to try again in any case"""
    file: str
    """its name without the folder, so that passing on the answer doesn't reveal where the file was"""
    status: Status
    reason: str
    """why there is no number, or no verdict; may be empty"""
    prob: float | None
    """that of the face that looks most like a fake; None where no face is usable"""
    verdict: Verdict | None
    """fake where prob lies above threshold, real below real_below, undecidable between them; None if the model
    can't say"""
    threshold: float | None
    """the file is called fake above this value, which is corrected for the number of faces and stretches examined; None
    if it can't be called fake"""
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
    real_below: float | None = None
    """below it the file is called real; None where it can't be"""
    looks: int = 0
    """how many faces and stretches the threshold is corrected for"""
    stretch: Stretch | None = None
    """the most suspicious one"""
    source: str = ""
    """`Input.source`"""
    faceless: tuple[Span, ...] = ()
    """where frames were to be scored and showed no face"""
    looked_at: tuple[str, ...] = ()
    """sentences on what was looked at and what wasn't"""
    evidence: Evidence | None = None
    """None in results older than version 3"""
    explanation: Explanation | None = None
    """of its worst frames; None where it was not asked for, or there is no score"""


def judge(file: Input, analysis: Analysis, reading: Reading, identity: str) -> Result:
    """Returns the result of an analysis."""
    faces, scored = _faces(analysis, reading)
    answered = replace(
        _unanswered(file, reading, identity, ""),
        faces=faces,
        media=analysis.media,
        seconds=analysis.seconds,
        damage=printable(without_places(analysis.error, file.path)),
        faceless=(faceless := _faceless(analysis)),
        looked_at=looked_at(
            analysis.media, faceless, sum(bool(face.left_out) for face in faces), bool(scored)
        ),
    )
    if not scored:
        return replace(answered, status="no_usable_face", reason=_why_no_face(analysis, faces))
    highest = max(scored, key=lambda face: face.value)
    stretch = most_suspicious(scored, reading)
    ruling = rule(scored, stretch, reading)
    return replace(
        answered,
        status="scored",
        reason=ruling.reason,
        prob=reading.score.prob(highest.value),
        verdict=ruling.verdict,
        threshold=ruling.fake_above,
        real_below=ruling.real_below,
        looks=ruling.looks,
        stretch=stretch if analysis.media.kind == "video" else None,
        meaning=(
            *meaning(highest.value, reading, len(scored), _kind(highest, analysis)),
            *reading.remarks,
        ),
    )


def standing_out(result: Result) -> Stretch | None:
    """Returns the stretch that is worth showing: none where all frames score alike."""
    stretch = result.stretch
    if stretch is None or stretch.suspicious:
        return stretch
    faces = [one for one in result.faces if not one.left_out]
    spread = max(one.highest for one in faces) - min(one.lowest for one in faces)
    return stretch if spread >= ALIKE else None


def unreadable(file: Input, error: Exception, reading: Reading, identity: str) -> Result:
    """Returns the result for a file that can't be read: no readable picture or video, or no file at all."""
    reason = _reason(file, error)
    in_words = isinstance(error, SoundOnly | TooLarge) or reason == "the file is empty"
    if not file.is_image and isinstance(error, VideoError) and not in_words:
        reason = f"{NO_VIDEO} ({reason})"
    return _unanswered(file, reading, identity, reason)


def not_a_number(file: Input, error: NotANumber, reading: Reading) -> Result:
    """Returns the result for a file that a model gives no number for."""
    return replace(_unanswered(file, reading, "", _reason(file, error)), status="not_a_number")


def changed(file: Input, reading: Reading) -> Result:
    """Returns the result for a file that somebody wrote to while it was scored."""
    return _unanswered(file, reading, "", "the file changed while it was scored")


def internal_error(file: Input, error: Exception, reading: Reading) -> Result:
    """Returns the result for a file at which this program has failed."""
    said = f"{type(error).__name__}: {_reason(file, error)}"
    return replace(_unanswered(file, reading, "", said), status="internal_error")


def _reason(file: Input, error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return printable(without_places(said, file.path).removeprefix(f"{file.path.name}: "))


def _unanswered(file: Input, reading: Reading, identity: str, reason: str) -> Result:
    """Returns what is known of a file before it is opened."""
    return Result(
        format_version=FORMAT_VERSION,
        identity=identity,
        file=file.shown_name,
        source=file.source,
        status="unreadable",
        reason=reason,
        prob=None,
        verdict=None,
        threshold=None,
        temperature=reading.score.frame_temperature * reading.score.scale.temperature,
        models=reading.names,
        models_sha256=reading.sha256,
        note=DEMONSTRATION if reading.demonstration else "",
        meaning=(),
        faces=(),
        media=None,
        seconds=None,
    )


def frame_probs(faces: pd.DataFrame, reading: Reading) -> pd.Series:
    """Returns the probability of fake of each row of an analysis, NaN where it was not scored."""
    return pd.Series(reading.score.frame_probs(faces["logit"].to_numpy(np.float64)), faces.index)


def _kind(face: Scored, analysis: Analysis) -> str:
    single = analysis.media.kind == "video" and len(face.logit) == 1
    return "frame" if single else analysis.media.kind


def _faces(analysis: Analysis, reading: Reading) -> tuple[tuple[Face, ...], list[Scored]]:
    """Returns all faces that were scored, and those that count."""
    rows = analysis.faces.assign(prob=frame_probs(analysis.faces, reading)).dropna(subset="prob")
    needed = min(FEWEST_FRAMES, analysis.media.frames_chosen)
    found, counting = [], []
    for track, own in rows.groupby("track", sort=True):
        pixels = int(np.minimum(own["x2"] - own["x1"], own["y2"] - own["y1"]).median())
        reasons = []
        if pixels < SMALLEST_FACE:
            reasons.append(f"{pixels} pixels wide, {SMALLEST_FACE} are needed")
        if len(own) < needed:
            reasons.append(f"scored in {counted(len(own), 'frame')}, {needed} are needed")
        time, logit = own["time"].to_numpy(np.float64), own["logit"].to_numpy(np.float64)
        scored = Scored(int(track) + 1, time, logit, reading.score.value(logit), doubt(own))
        if not reasons:
            counting.append(scored)
        found.append(
            Face(
                face=scored.face,
                first_s=float(time[0]),
                last_s=float(time[-1]),
                frames_scored=len(own),
                pixels=pixels,
                prob=reading.score.prob(scored.value),
                lowest=float(own["prob"].min()),
                highest=float(own["prob"].max()),
                left_out="; ".join(reasons),
                value=scored.value,
                doubt=scored.doubt,
            )
        )
    return tuple(found), counting


def _faceless(analysis: Analysis) -> tuple[Span, ...]:
    """Returns the spans without a face, each from its first frame to the next one with a face, or to the end."""
    faces = analysis.faces
    empty = ~np.isin(analysis.chosen, faces.loc[faces["logit"].notna(), "time"].to_numpy(np.float64))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(np.int8), [0]])))
    ends = [*analysis.chosen.tolist(), analysis.media.duration]
    return tuple(Span(ends[first], ends[after]) for first, after in edges.reshape(-1, 2).tolist())


def _why_no_face(analysis: Analysis, faces: tuple[Face, ...]) -> str:
    looked = analysis.media.frames_looked_at
    where = "the image" if analysis.media.kind == "image" else f"{counted(looked, 'frame')} looked at"
    if not faces:
        return (
            f"no face found in {where}; very small, turned or covered faces are missed "
            f"(from 0 to 1, the detector was {analysis.best_confidence:.2f} sure at most; "
            f"a face needs {analysis.media.threshold:.2f})"
        )
    if len(faces) == 1:
        return f"the only face found in {where} is not usable: {faces[0].left_out}"
    largest = max(faces, key=lambda face: (face.frames_scored, face.pixels))
    return f"none of {len(faces)} faces found in {where} is usable; the one seen most: {largest.left_out}"
