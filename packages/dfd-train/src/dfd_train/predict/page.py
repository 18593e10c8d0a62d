"""report.html of one file, for people who don't program; and index.html over several."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from dfd_train.predict.analysis import NO_FRAME, Analysis, Media
from dfd_train.predict.annotate import LONGEST_SIDE, Still
from dfd_train.predict.copies import copies
from dfd_train.predict.drawing import colour, face_colour
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.facts import facts_of_answer, facts_of_file
from dfd_train.predict.result import NO_VIDEO, STATUSES, Face, Result, standing_out
from dfd_train.predict.timeline import Timeline
from dfd_train.predict.verdicts import Stretch
from dfd_train.predict.words import CAUTION, exact_percent, moment, percent, sentence, short_percent
from dfd_train.predict.worst import Marked
from dfd_train.report.files import write_text
from ffpp_prep.text.pages import environment
from ffpp_prep.text.units import counted

EMBEDDED_VIDEO = 8 << 20  # bytes; a longer one stays beside the page
SHOWN_SIDE = 640  # pixels of the longer side, at least
SHOWN_FACES = 24
INDEX = "index.html"
_PERCENT = re.compile(r"(?<=\d) %")


@dataclass(frozen=True)
class Answer:
    """The first thing that a reader sees."""

    tone: str
    """fake, real or none: its colour"""
    headline: str
    sentence: str


@dataclass(frozen=True)
class _Picture:
    source: str
    caption: str
    time: float | None = None
    """in the video, where it is of one"""


@dataclass(frozen=True)
class _Look:
    """A frame and its explanation."""

    crop: str
    marked: str
    caption: str
    time: float | None


@dataclass(frozen=True)
class _ShownFace:
    face: Face
    percent: str
    colour: str
    """of its score, as of its box in the video"""
    line: str
    """colour of its line in the timeline"""
    when: str
    pictures: tuple[_Picture, ...]


def answer(result: Result) -> Answer:
    """Returns the answer in words."""
    if result.status == "unreadable":
        return Answer("none", "Could not be read", _unreadable(result.reason))
    if result.status == "not_a_number":
        said = f"This is a fault of the model, not of the file. {sentence(result.reason)}"
        return Answer("none", "The model failed, no score", said)
    if result.status == "internal_error":
        said = f"This is a fault of dfd-train, not of the file ({result.reason}). traceback.log says where."
        return Answer("none", "The program failed at this file", said)
    damage = sentence(result.damage and f"only a part of the file was looked at: {result.damage}")
    if result.prob is None:
        why = f"So there is no score. {sentence(result.reason)} {damage}"
        return Answer("none", "No usable face", why.rstrip())
    which = "the face" if len(result.faces) == 1 else f"face {_most_suspicious(result).face}"
    score = f"Score for {which}: {percent(result.prob)}, where 0 % is real and 100 % is fake."
    if result.verdict is None and not result.note:  # whose banner says more
        score += f" {CAUTION}"
    if damage:
        score += f" {damage}"
    if (stretch := standing_out(result)) is not None and not result.note:
        score += f" {stretch_sentence(stretch, _most_suspicious(result).face)}"
    if result.verdict is None:
        headline = "A demonstration, no verdict" if result.note else "No verdict"
        why = sentence(result.reason.removeprefix("no verdict: "))  # the headline says so
        return Answer("none", headline, f"{score} {why}")
    if result.verdict == "undecidable":
        return Answer(
            "none", "Undecidable for this model", f"{score} {sentence(result.reason)} {_lines(result)}"
        )
    if result.verdict == "fake":
        return Answer("fake", "Looks like a fake to this model", f"{score} {_lines(result)}")
    return Answer("real", "Looks real to this model", f"{score} {_lines(result)}")


def _once(meaning: str, said: Answer) -> str:
    """Returns a sentence on the number without what stands beside the score already."""
    return meaning.replace(f" {CAUTION}", "") if CAUTION in said.sentence else meaning


def _unreadable(reason: str) -> str:
    """Says what that means for a reader, and only then what the decoder said."""
    nothing = "This says nothing about real or fake."
    meanings = {
        NO_FRAME: "The file is damaged or incomplete",
        NO_VIDEO: "This is not a video, or it is damaged or incomplete",
    }
    for said, means in meanings.items():
        if reason.startswith(said):
            detail = reason if said == NO_FRAME else reason.removeprefix(f"{said} (").removesuffix(")")
            return f"{means}: ask for it again. {nothing} {sentence(detail)}"
    return f"{sentence(reason)} {nothing}"


def stretch_sentence(stretch: Stretch, face: int) -> str:
    """Says where a file looks most like a fake. face: whose score is the file's."""
    where = f"at {moment(stretch.start_s)}"
    if stretch.seconds > 0:
        where = f"from {moment(stretch.start_s)} to {moment(stretch.end_s)} ({stretch.seconds:.1f} seconds"
        where += f", face {stretch.face})"
    what = "Most suspicious part" if stretch.suspicious else "Highest-scoring part"
    other = ", of another face than the score" * (stretch.face != face)
    return f"{what}{other}: {where}, {percent(stretch.prob)}."


def _lines(result: Result) -> str:
    """Says from which values on this file would be called fake or real."""
    parts = [
        f"fake above {exact_percent(result.threshold)}" if result.threshold is not None else "",
        f"real below {exact_percent(result.real_below)}" if result.real_below is not None else "",
    ]
    said = " and ".join(filter(None, parts))
    what = (
        f"a file of which {result.looks} faces and parts were looked at"
        if result.looks > 1
        else "such a file"
    )
    return f"This model calls {what} {said}." if said else ""


def write_page(
    folder: Path,
    result: Result,
    analysis: Analysis | None,
    reading: Reading,
    stills: Sequence[Still] = (),
    timelines: Sequence[Timeline] = (),
    marked: Sequence[Marked] = (),
) -> None:
    """Writes folder/report.html; pictures beside it are put into the page.

    stills: frames that replace the video in print. timelines: the wide and the narrow one; empty if there is nothing to
    plot.
    """
    image, video = (_embedded(folder / name) for name in ("annotated.png", "annotated.mp4"))
    shown = sorted(result.faces, key=lambda face: (bool(face.left_out), -face.prob))[:SHOWN_FACES]
    page = (
        _environment()
        .get_template("report.html")
        .render(
            result=result,
            script=Markup(script("report")),
            answer=(said := answer(result)),
            meaning=[_once(one, said) for one in result.meaning],
            plots=[(one, _uri(one.png, "image/png")) for one in timelines],
            image=image,
            video=video,
            stills=[_still(one, result) for one in stills],
            looks=[_look(one, reading, result.media) for one in marked],
            size=_shown_size(result.media),
            stretch=standing_out(result),
            faces=[
                _shown_face(face, result, analysis, reading)
                for face in sorted(shown, key=lambda face: face.face)
            ],
            hidden=len(result.faces) - len(shown),
            file_facts=facts_of_file(result),
            facts=facts_of_answer(result, reading),
        )
    )
    write_text(folder / "report.html", page)


def write_index(out: Path, results: Sequence[tuple[str, Result]], reading: Reading) -> Path:
    """Writes out/index.html, one line a file: (name of its folder, its result). reading: the last command's."""
    same = copies(results)
    rows = [(name, result, answer(result), same.get(name)) for name, result in results]
    page = (
        _environment()
        .get_template("index.html")
        .render(
            rows=rows,
            script=Markup(script("index")),
            note=max((result.note for _, result in results), default=""),
            same=len(same),
            sha256=reading.sha256,
            otherwise=sum(result.models_sha256 != reading.sha256 for _, result in results),
            counts={status: sum(result.status == status for _, result in results) for status in STATUSES},
        )
    )
    return write_text(out / INDEX, page)


def _shown_face(face: Face, result: Result, analysis: Analysis | None, reading: Reading) -> _ShownFace:
    thumbs = analysis.thumbs.of(face.face - 1) if analysis is not None else ()
    whole = result.media is not None and result.media.kind == "image"

    def caption(time: float, logit: float) -> str:
        if face.left_out:
            return "" if whole else moment(time)
        prob = float(reading.score.frame_probs(np.array([logit]))[0])
        return short_percent(prob) if whole else f"{moment(time)}: {short_percent(prob)}"

    prob = None if face.left_out else face.prob
    pictures = tuple(
        _Picture(_uri(one.jpeg, "image/jpeg"), caption(one.time, one.logit), None if whole else one.time)
        for one in thumbs
    )
    return _ShownFace(
        face=face,
        percent="–" if face.left_out else percent(face.prob),
        colour=colour(face.face, prob, result.threshold),
        line=face_colour(face.face),
        when="" if whole else _when(face),
        pictures=pictures,
    )


def _still(one: Still, result: Result) -> _Picture:
    highest = one.highest and standing_out(result) is not None
    return _Picture(
        _uri(one.jpeg, "image/jpeg"), moment(one.time) + ", the highest-scoring frame" * highest, one.time
    )


def _look(one: Marked, reading: Reading, media: Media | None) -> _Look:
    prob = short_percent(float(reading.score.frame_probs(np.array([one.logit]))[0]))
    whole = media is None or media.kind == "image"
    pictures = _uri(one.crop, "image/jpeg"), _uri(one.marked, "image/jpeg")
    return _Look(*pictures, prob if whole else f"{moment(one.time)}: {prob}", None if whole else one.time)


def _shown_size(media: Media | None) -> tuple[int, int]:
    """Returns the width and height of its picture on the page: a small one is enlarged so that its faces can
    be seen.
    """
    width, height = (media.width, media.height) if media else (0, 0)
    longest = max(width, height, 1)
    scale = min(max(1.0, SHOWN_SIDE / longest), LONGEST_SIDE / longest)
    return round(width * scale), round(height * scale)


def _most_suspicious(result: Result) -> Face:
    return max((face for face in result.faces if not face.left_out), key=lambda face: face.prob)


def _when(face: Face) -> str:
    if face.frames_scored == 1:
        return f"at {moment(face.first_s)}"
    return f"from {moment(face.first_s)} to {moment(face.last_s)}"


def _embedded(path: Path) -> str:
    """Returns a data URI of a file, its name where it is too large for that, nothing where it is not there."""
    if not path.is_file():
        return ""
    if path.stat().st_size > EMBEDDED_VIDEO and path.suffix == ".mp4":
        return path.name
    return _uri(path.read_bytes(), {".png": "image/png", ".mp4": "video/mp4"}[path.suffix])


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


@cache
def script(name: str) -> str:
    """Returns the JavaScript that is embedded in every page of a kind, "report" or "index"; the report's keeps video,
    timeline and pictures in step.
    """
    return _environment().get_template(f"{name}.js").render()


@cache
def _environment() -> Environment:
    found = environment("dfd_train.predict")
    found.filters["percent"] = percent
    found.filters["short_percent"] = short_percent
    found.filters["counted"] = counted
    found.filters["grouped"] = "{:,}".format
    found.finalize = _unbroken
    return found


def _unbroken(value: object) -> object:
    """Returns what a template fills in, without a line break between a number and its %."""
    plain = type(value) is str and " %" in value  # Markup is left alone; pictures are long texts without one
    return _PERCENT.sub("\N{NO-BREAK SPACE}%", value) if plain else value  # type: ignore[call-overload]
