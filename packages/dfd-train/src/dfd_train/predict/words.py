"""Words for numbers: what a probability says and what it doesn't, for anybody."""

from __future__ import annotations

from collections.abc import Sequence

from dfd_train.calibration.learned import Calibration
from dfd_train.calibration.score import Over
from dfd_train.predict.analysis import Media, Span
from dfd_train.predict.ensemble import Reading
from ffpp_prep.text.units import counted

SHOWN_SPANS = 8
_OVER: dict[Over, str] = {
    "all frames": "averaged over the frames",
    "median frame": "the median of the frames",
    "sure frames": "averaged over the frames, over the sure ones alone where they are many,",
    "worst stretch": "of the frames in a row that look most like one",
}
CAUTION = (
    "A high score is no proof of a fake, but a reason to look closer. "
    "A low score does not show that a file is real."
)
FEW_VIDEOS = 50  # of a class: fewer are counted, as a share of them would look surer than it is


def meaning(value: float, reading: Reading, faces: int, kind: str) -> tuple[str, ...]:
    """Returns what a file's probability says and what it does not, in sentences for anybody.

    value: of its highest face, on the logit scale. faces: how many count. kind: video, image, or frame: a single one
    of a video.
    """
    prob, known = reading.score.prob(value), reading.calibration
    which = "the face" if faces == 1 else "the face that looks most like a fake"
    how = {
        "video": _OVER[reading.score.over],
        "image": "from this single picture",
        "frame": "from a single frame",
    }[kind]
    says = [f"{percent(prob)} is the model's own estimate, {how} of {which}.".capitalize()]
    if faces > 1:
        says.append(f"It is the highest of {faces} faces: the more faces, the likelier a high one.")
    if not reading.demonstration:
        says += _compared(value, known, kind)
    says.append(CAUTION)
    limits = ["It is not the chance that this file is a fake."]
    if not reading.demonstration:  # whose scores hold for nothing
        limits.append(
            "It is an estimate for footage like that which the model learned from, as if half of it were fake. Other "
            "kinds of manipulation, other cameras, heavy compression or edits can raise or lower it without warning."
        )
    limits.append("It looks at faces only: not at voices, captions or the scene.")
    return " ".join(says), " ".join(limits)


def looked_at(media: Media, faceless: Sequence[Span], left_out: int, answered: bool) -> tuple[str, ...]:
    """Returns what was looked at and what was not, in sentences for anybody.

    faceless: where no face was scored. left_out: how many faces don't count. answered: whether there is a score.
    """
    says = ["The whole picture was searched for faces, once."]
    if media.kind == "video":
        some, chosen = media.frames_looked_at < media.frames, media.frames_chosen
        followed = media.frames_scored and chosen > media.frames_looked_at  # more than were searched
        carried = ", with the places of faces carried over between searched frames" * bool(followed)
        says = [
            f"Of {counted(media.frames, 'frame')}, {_were(media.frames_looked_at)} searched for faces. "
            f"{_were(chosen)} chosen to be scored{carried}; {media.frames_scored:,} of the {chosen:,} showed a face."
            + " What shows only in the other frames was missed."
            * some
        ]
        if faceless:
            spans = ", ".join(
                f"{moment(one.start_s)} to {moment(one.end_s)}" for one in faceless[:SHOWN_SPANS]
            )
            more = len(faceless) - SHOWN_SPANS
            seconds = sum(one.end_s - one.start_s for one in faceless)
            says.append(
                f"No face was scored in {seconds:.1f} of {media.duration:.1f} seconds: {spans}"
                f"{f', and {more:,} more in result.json' if more > 0 else ''}."
                + " The score says nothing about them."
                * answered
            )
    if left_out:
        says.append(
            f"{counted(left_out, 'face')} found {'does' if left_out == 1 else 'do'}n't count; "
            f"the {'reason is' if left_out == 1 else 'reasons are'} above."
        )
    says.append(
        "A face of one tone, as in flat drawings, gets no verdict, nor one that was seen often enough and whose "
        "expression never changes, as it may be a picture or a statue. Whether one that moves is painted or rendered "
        "can't be told: it may get a verdict."
        if media.kind == "video"
        else "A face of one tone, as in flat drawings, gets no verdict. Whether one is a living person's, or painted, "
        "rendered or sculpted, was not looked at."
    )
    says.append(
        "Voices, sound, captions, the scene and bodies were not looked at, nor was where the file comes from. What it "
        "says of itself is listed below and was not judged."
    )
    return tuple(says)


def _were(number: int) -> str:
    return f"{number:,} {'was' if number == 1 else 'were'}"


def moment(seconds: float) -> str:
    """Returns a time in a video: as `clock`, but 7.2 s where it is within the first minute."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def clock(seconds: float) -> str:
    """Returns seconds as a person reads them off a player: 1:02:03, 2:03, 0:07."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _compared(value: float, known: Calibration | None, kind: str) -> list[str]:
    """Returns what is known of a score from the validation videos, and what that is worth."""
    if known is None:
        return ["Its percentages were never checked against videos whose truth is known."]
    real, fake = known.shares_above(value)
    high = value > known.threshold_value
    if not high:
        real, fake = 1.0 - real, 1.0 - fake
    few = " and ".join(
        f"{count} {word}"
        for count, word in ((known.videos_fake, "fake"), (known.videos_real, "real"))
        if count < FEW_VIDEOS
    )
    return [
        f"Its percentages were set on {known.videos_fake:,} fake and {counted(known.videos_real, 'real video')} that "
        f"did not train it: of those, {_part(fake, known.videos_fake, 'fake')} and "
        f"{_part(real, known.videos_real, 'real')} "
        f"scored {'at least as high' if high else 'lower'}.",
        *([f"Too few videos to mean much: {few}."] if few else []),
        *(
            ["They were scored by averages over videos, which vary less than a single picture."]
            * (kind != "video")
        ),
        "These videos also decided which state of the model was kept, so they flatter it.",
    ]


def _part(share: float, videos: int, word: str) -> str:
    """Returns a share of some videos: counted where they are few."""
    if videos < FEW_VIDEOS:
        return f"{round(share * videos):,} of {counted(videos, word)}"
    return f"{percent(share)} of the {word} ones"


def percent(prob: float) -> str:
    """Returns a probability for people; never a false certainty."""
    if 0 < prob < 0.005:
        return "less than 1 %"
    if 0.995 < prob < 1:
        return "more than 99 %"
    return f"{100 * prob:.0f} %"


def exact_percent(prob: float) -> str:
    """Returns a limit in percent, with as many digits as tell it from 0 and 100 %."""
    digits = next((n for n in range(12) if 0 < float(f"{100 * prob:.{n}f}") < 100), 0)
    return f"{100 * prob:.{digits}f} %"


def short_percent(prob: float) -> str:
    """Returns a percentage for small spaces, with < and > at the ends."""
    return percent(prob).replace("less than ", "<").replace("more than ", ">")


def sentence(text: str) -> str:
    """Returns the text with a capital and a full stop; nothing where it is empty."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
