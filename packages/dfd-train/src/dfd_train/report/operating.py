"""Tables and pictures of scores as probabilities, and of what is found at few false alarms."""

import pandas as pd

from dfd_train.calibration.learned import Calibration
from dfd_train.metrics.operating import at_few_alarms, brier
from dfd_train.metrics.paired import judged_videos
from dfd_train.metrics.reliability import false_alarms, reliability, risk_coverage
from dfd_train.metrics.videos import Aggregation
from dfd_train.report.curves import Plot
from dfd_train.report.svg import BLUE, GREY, ORANGE, figure, to_svg
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.tables import warning
from ffpp_prep.text.units import counted


def operating_table(
    predictions: pd.DataFrame,
    aggregation: Aggregation = "mean",
    demonstration: bool = False,
    calibration: Calibration | None = None,
) -> Table:
    """Returns the Brier score with its parts, and the share of fakes found at 1 % and 0.1 % false alarms.

    Of the deployed score where there is a calibration, else of the score as it is.
    """
    if calibration is None:
        videos, which = judged_videos(predictions, aggregation), "the score as it is, not calibrated"
    else:
        videos = calibration.score.videos(predictions).rename(columns={"value": "key"})
        which = f"the deployed score ({calibration.score.scale.method}, {calibration.score.over})"
    found, nothing = brier(videos), between(float("nan"), float("nan"))
    rows: list[tuple[Cell, ...]] = [
        (words("Brier score"), number(found.score), between(found.interval.low, found.interval.high)),
        (words("its reliability (0 is calibrated)"), number(found.reliability), nothing),
        (words("its resolution (more is better)"), number(found.resolution), nothing),
        (words("its uncertainty"), number(found.uncertainty), nothing),
    ]
    notes = [f"Brier score = reliability - resolution + uncertainty, over videos; {which}."]
    for one in at_few_alarms(videos):
        title = f"Fakes found at {100 * one.rate:g} % false alarms"
        rows.append((words(title), percent(one.hits), nothing))
        if not one.resolvable:
            notes.append(f"{title}: not resolvable with {counted(one.reals, 'real video')}.")
    header = ("Measure", "Videos", "95 % interval")
    return Table(
        "Scores as probabilities, and few false alarms",
        header,
        tuple(rows),
        tuple(notes),
        slug="operating",
        warning=warning(demonstration),
    )


def deployed_tables(
    predictions: pd.DataFrame, calibration: Calibration, demonstration: bool = False
) -> tuple[Table, ...]:
    """Returns tables of the deployed score: reliability, errors by coverage, false alarms by faces and by length."""
    videos = calibration.score.videos(predictions)
    said = warning(demonstration)
    bins = Table(
        "Reliability of the deployed score",
        ("Score", "Videos", "Groups", "Mean score", "Fakes among them", "95 % interval"),
        tuple(
            (
                words(f"{one.low:.1f} to {one.high:.1f}"),
                *(count(one.videos), count(one.groups), percent(one.mean), percent(one.fakes)),
                between(one.interval.low, one.interval.high, percent),
            )
            for one in reliability(videos)
        ),
        ("Calibrated: the share of fakes is the mean score, where real and fake are equally frequent.",),
        slug="reliability",
        warning=said,
    )
    kept = Table(
        "Errors among the surest videos",
        ("Coverage", "Videos", "Called wrong"),
        tuple(
            (percent(one.coverage), count(one.videos), percent(one.risk))
            for one in risk_coverage(videos, calibration.threshold_value)
        ),
        ("Surest: farthest from validation's threshold of the best balanced accuracy.",),
        slug="risk-coverage",
        warning=said,
    )
    alarms = Table(
        "False alarms by faces and length",
        ("Real videos", "Videos", "Groups", "Called fake", "95 % interval"),
        tuple(
            (
                words(one.kind),
                *(count(one.reals), count(one.groups), percent(one.share)),
                between(one.interval.low, one.interval.high, percent),
            )
            for one in false_alarms(videos, calibration.threshold_value)
        ),
        ("Called fake above the same threshold. Faces of prepared sets are ranks in a frame, no tracks.",),
        slug="false-alarms",
        warning=said,
    )
    return bins, kept, alarms


def deployed_plots(predictions: pd.DataFrame, calibration: Calibration, name: str) -> tuple[Plot, ...]:
    """Returns the reliability diagram with intervals, and the curve of errors by coverage."""
    videos = calibration.score.videos(predictions)
    plots = []
    caption = "Reliability of the deployed score"
    with figure() as (drawn, axes):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        for one in reliability(videos):
            if one.interval.low == one.interval.low:
                axes.plot([one.mean] * 2, [one.interval.low, one.interval.high], color=BLUE, linewidth=1.4)
            axes.plot(one.mean, one.fakes, "o", color=BLUE, markersize=5)
        axes.set(xlabel="Mean score", ylabel="Share of fakes, 95 %", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        plots.append(Plot(f"{name}-reliability", caption, to_svg(drawn, f"{name}-reliability", caption)))
    caption = "Errors among the surest videos"
    with figure() as (drawn, axes):
        kept = risk_coverage(videos, calibration.threshold_value)
        axes.plot([one.coverage for one in kept], [one.risk for one in kept], "o-", color=ORANGE)
        axes.set(xlabel="Share of videos kept", ylabel="Called wrong", xlim=(0, 1.02), ylim=(0, None))
        plots.append(Plot(f"{name}-risk", caption, to_svg(drawn, f"{name}-risk", caption)))
    return tuple(plots)
