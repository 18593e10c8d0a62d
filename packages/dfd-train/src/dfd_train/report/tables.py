"""The tables of one run: results per manipulation method, all numbers with intervals, the hardest videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from dfd_train.metrics import Intervals, Summary, method_subset, video_scores
from dfd_train.metrics.summary import ORIGINALS
from dfd_train.metrics.videos import SAID
from dfd_train.report.measures import Measures
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from ffpp_prep.text.units import counted, plural

DEMONSTRATION = "demonstration model, not evidence"
SCORE = "sigmoid of the logit, not calibrated"
METHOD_ORDER = ("DeepFakeDetection", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")


@dataclass(frozen=True)
class Coverage:
    """How many videos a split has and how many of them could be scored."""

    expected: int
    scored: int
    unusable: Mapping[str, int]  # why videos have no score, with their number

    @classmethod
    def of(cls, videos: pd.DataFrame, predictions: pd.DataFrame) -> "Coverage":
        """Returns the coverage of `videos`: one row a video of the split, `video_id`, `status`, `multiple_faces`."""
        missing = videos[~videos["video_id"].isin(predictions["video_id"].unique())]
        reason = missing["status"].fillna("not done").str.replace("_", " ")
        usable = missing["status"].isin(("ok", "partial"))
        several = missing["multiple_faces"].astype("boolean").fillna(False).astype(bool)
        reason = reason.mask(usable, "left out by the settings").mask(usable & several, "multiple faces")
        unusable = {str(name): int(number) for name, number in reason.value_counts().items()}
        return cls(len(videos), len(videos) - len(missing), unusable)

    def line(self) -> str:
        """Returns one sentence to stand below a table."""
        if not self.unusable:
            which = f"all {self.expected:,} videos" if self.expected > 1 else "the only video"
            return f"Coverage: {which} scored."
        parts = ", ".join(f"{name} {number}" for name, number in sorted(self.unusable.items()))
        return (
            f"Coverage: {self.scored:,} of {self.expected:,} {plural(self.expected, 'video')} scored; "
            f"{self.expected - self.scored:,} without a score, counted here and nowhere else ({parts})."
        )


def evaluation_table(
    measures: Measures, coverage: Coverage | None = None, demonstration: bool = False
) -> Table:
    """Returns loss, video accuracy and AUC per method, and the whole set's numbers below (Tables 5.3, 5.4, 7.6).

    The predictions have `video_id`, `method`, `label`, `logit`. A method's AUC compares its
    fakes with the originals of its data set; the other columns are over its own fakes. Undefined numbers
    show as a dash.
    """
    predictions, overall, ends = measures.frames, measures.summary(), measures.intervals()
    rows = []
    for method in methods_in(predictions):
        own = measures.summary(predictions[predictions["method"] == method])
        against = measures.summary(method_subset(predictions, method))
        rows.append(_result_row(method, own, against.video_auc))
    rows.append(_result_row("Overall", overall, overall.video_auc))
    area = between(ends.low.video_auc, ends.high.video_auc, lambda value: number(value, 4))
    notes = [
        f"Frame accuracy {overall.frame_accuracy:.2%}, balanced accuracy over videos "
        + f"{_share(overall.balanced_accuracy)}, video AUC {_plain(overall.video_auc)}"
        + (f" (95 % {area.text}), " if area.value else " (no interval), ")
        + f"frame AUC {_plain(overall.frame_auc)}.",
        f"A video is called fake when the {SAID[measures.aggregation]} of its frames' scores ({SCORE}) is above "
        f"{measures.threshold:g}; "
        "AUC is over videos, each method's fakes against the originals of its data set.",
        ends.evidence.sentence(),
    ]
    notes += [coverage.line()] if coverage else []
    header = ("Method", "Videos", "Frames", "Loss", "Video accuracy", "AUC")
    return Table(
        "Results by manipulation method",
        header,
        tuple(rows),
        tuple(notes),
        slug="evaluation",
        warning=warning(demonstration),
    )


def summary_table(measures: Measures, demonstration: bool = False) -> Table:
    """Returns every number of the summary, of videos and of frames, each with its interval."""
    ends = measures.intervals()
    level = f"{100 * ends.level:g} %"
    header = ("Measure", "Videos", f"{level} interval", "Frames", f"{level} interval")
    return Table(
        "All measures",
        header,
        tuple(_measure_rows(measures.summary(), ends)),
        (ends.evidence.sentence(),),
        slug="measures",
        warning=warning(demonstration),
    )


def methods_table(measures: Measures, demonstration: bool = False) -> Table:
    """Returns each method's fakes together with the originals of its data set: every number with its interval.

    Accuracy is left out, which mixes the method's share with the originals': `evaluation_table` has it apart.
    """
    rows: list[tuple[Cell, ...]] = []
    evidence: dict[str, list[str]] = {}
    for method in methods_in(measures.frames):
        if method == ORIGINALS:
            continue
        own = method_subset(measures.frames, method)
        of_method = measures.intervals(own)
        measured = _measure_rows(measures.summary(own), of_method)
        evidence.setdefault(of_method.evidence.sentence(), []).append(method)
        rows += [(words(method), *row) for row in measured if row[0].text != "Accuracy"]
    header = ("Method", "Measure", "Videos", "95 % interval", "Frames", "95 % interval")
    return Table(
        "Each method against the originals",
        header,
        tuple(rows),
        tuple(f"{', '.join(methods)}: {sentence}" for sentence, methods in evidence.items()),
        slug="methods",
        warning=warning(demonstration),
    )


def hardest_table(predictions: pd.DataFrame, hardest: int = 10, demonstration: bool = False) -> Table:
    """Returns the videos with the largest mean frame loss, hardest first (Tables 5.5, 5.6, 7.4)."""
    rows = [
        (
            count(rank),
            words(video.method),
            words(PurePosixPath(video.video_id).name),
            number(video.loss, 2),
            percent(video.prob),
        )
        for rank, video in enumerate(hardest_videos(predictions, hardest).itertuples(), start=1)
    ]
    header = ("Rank", "Method", "File", "Loss", "Score")
    title = f"The {counted(len(rows), 'hardest video')}"
    notes = (f"Score: mean over the frames of the {SCORE}.",)
    return Table(title, header, tuple(rows), notes, slug="hardest", warning=warning(demonstration))


def hardest_videos(predictions: pd.DataFrame, hardest: int = 10) -> pd.DataFrame:
    """Returns rows of `video_scores` with the largest loss, equals in order of `video_id`."""
    return video_scores(predictions).sort_values(["loss", "video_id"], ascending=[False, True]).head(hardest)


def methods_in(predictions: pd.DataFrame) -> Sequence[str]:
    """Returns the methods of a table in the thesis's order, unknown ones after them by name, the originals last."""
    present = set(predictions["method"].unique())
    known = [method for method in METHOD_ORDER if method in present]
    return [
        *known,
        *sorted(present - {*METHOD_ORDER, ORIGINALS}),
        *([ORIGINALS] if ORIGINALS in present else []),
    ]


def warning(demonstration: bool) -> str:
    """Returns what every table of a demonstration model says."""
    return f"This is a {DEMONSTRATION}." if demonstration else ""


def _measure_rows(summary: Summary, ends: Intervals) -> list[tuple[Cell, ...]]:
    """Returns a row a measure: its name, over videos, their interval, over frames, their interval."""
    rows = []
    for title, of_videos, of_frames, write in (
        ("Accuracy", "video_accuracy", "frame_accuracy", percent),
        ("Balanced accuracy", "balanced_accuracy", "frame_balanced_accuracy", percent),
        ("AUC", "video_auc", "frame_auc", number),
        ("Average precision", "ap", "frame_ap", number),
        ("Equal error rate", "eer", "frame_eer", percent),
        ("Log loss", "log_loss", "loss", number),
        ("Calibration error", "ece", "frame_ece", number),
    ):
        cells = [words(title)]
        for name in (of_videos, of_frames):
            cells += [
                write(getattr(summary, name)),
                between(getattr(ends.low, name), getattr(ends.high, name), write),
            ]
        rows.append(tuple(cells))
    return rows


def _result_row(name: str, own: Summary, video_auc: float) -> tuple[Cell, ...]:
    return (
        words(name),
        count(own.videos),
        count(own.frames),
        number(own.loss),
        percent(own.video_accuracy),
        number(video_auc, 4),
    )


def _share(value: float) -> str:
    return percent(value).text


def _plain(value: float) -> str:
    return number(value, 4).text
