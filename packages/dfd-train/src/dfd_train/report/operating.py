"""The table of scores as probabilities, and of what is found at few false alarms."""

import pandas as pd

from dfd_train.metrics.operating import at_few_alarms, brier
from dfd_train.metrics.videos import Aggregation
from dfd_train.report.table import Cell, Table, between, number, percent, words
from dfd_train.report.tables import warning


def operating_table(
    predictions: pd.DataFrame, aggregation: Aggregation = "mean", demonstration: bool = False
) -> Table:
    """Brier score with its parts, and the share of fakes found at 1 % and 0.1 % false alarms."""
    found, nothing = brier(predictions, aggregation), between(float("nan"), float("nan"))
    rows: list[tuple[Cell, ...]] = [
        (words("Brier score"), number(found.score), between(found.interval.low, found.interval.high)),
        (words("its reliability (0 is calibrated)"), number(found.reliability), nothing),
        (words("its resolution (more is better)"), number(found.resolution), nothing),
        (words("its uncertainty"), number(found.uncertainty), nothing),
    ]
    notes = [
        "Brier score = reliability - resolution + uncertainty, over videos; the score as it is, not calibrated."
    ]
    for one in at_few_alarms(predictions, aggregation):
        title = f"Fakes found at {100 * one.rate:g} % false alarms"
        rows.append((words(title), percent(one.hits), nothing))
        if not one.resolvable:
            notes.append(f"{title}: not resolvable with {one.reals:,} real videos.")
    header = ("Measure", "Videos", "95 % interval")
    return Table(
        "Scores as probabilities, and few false alarms",
        header,
        tuple(rows),
        tuple(notes),
        slug="operating",
        warning=warning(demonstration),
    )
