"""Which of several detectors is better: paired tests on the videos that both scored."""

import itertools
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from dfd_train.metrics.paired import PairedDifference, difference, holm
from dfd_train.metrics.summary import method_subset
from dfd_train.report.others import Judged
from dfd_train.report.table import Cell, Mark, Table, between, count, number, words

OVERALL = "Overall"
SHOWN = 0.05
"""p after Holm's correction below which a difference is called shown"""
HIGHER_IS_BETTER = {
    "loss": False,
    "log_loss": False,
    "video_accuracy": True,
    "balanced_accuracy": True,
    "video_auc": True,
}
TESTED = {"video_auc": "AUC", "balanced_accuracy": "Balanced accuracy", "log_loss": "Log loss"}
BEST = "better than each other of its row by paired tests (p < 0.05 after Holm); elsewhere no difference is shown"


def of_method(table: pd.DataFrame, method: str, measure: str) -> pd.DataFrame:
    """Returns the rows that a row of a table by method is of; for the AUC a method stands against its originals."""
    if method == OVERALL:
        return table
    return method_subset(table, method) if measure == "video_auc" else table[table["method"] == method]


def marks_by_test(
    rows: Mapping[str, Sequence[float]], videos: Sequence[pd.DataFrame | None], measure: str
) -> dict[str, list[Mark]]:
    """Returns marks, by method, the value of a row that is better than each other one by paired tests: "best".

    `rows`: by method a value a column, NaN where there is none; `videos`: of each column, from `Predictions.judged`.
    Holm's correction is over all tests of all rows: else a large table would star by chance. No mark where one is
    alone, or where columns are not over the same videos.
    """
    tests: list[tuple[str, int, PairedDifference]] = []
    for method, values in rows.items():
        tests += [(method, *test) for test in _against_the_best(values, videos, method, measure)]
    corrected = holm([one.p for *_, one in tests])
    marks: dict[str, list[Mark]] = {method: [""] * len(values) for method, values in rows.items()}
    sign = _sign(measure)
    for method in marks:
        own = [(best, p, one) for (row, best, one), p in zip(tests, corrected, strict=True) if row == method]
        if own and all(p < SHOWN and sign * one.value > 0 for _, p, one in own):
            marks[method][own[0][0]] = "best"
    return marks


def _against_the_best(
    values: Sequence[float], videos: Sequence[pd.DataFrame | None], method: str, measure: str
) -> list[tuple[int, PairedDifference]]:
    """Returns the place of a row's best value, and its difference to each other."""
    own = {
        place: of_method(table, method, measure)
        for place, (value, table) in enumerate(zip(values, videos, strict=True))
        if table is not None and not math.isnan(value)
    }
    if len(own) < 2:
        return []
    best = max(own, key=lambda place: _sign(measure) * values[place])
    others = [table for place, table in own.items() if place != best]
    if any(set(own[best]["video_id"]) != set(table["video_id"]) for table in others):
        return []
    return [(best, difference(own[best], table, measure)) for table in others]


def _sign(measure: str) -> float:
    return 1.0 if HIGHER_IS_BETTER[measure] else -1.0


def differences_table(runs: Sequence[Judged], name: str) -> Table:
    """Returns each pair of detectors that has the predictions `name`, on the videos that both scored."""
    videos = {run.name: one.measures.judged() for run in runs if (one := run.predicted(name))}
    found = [
        (measure, first, second, difference(videos[first], videos[second], measure))
        for measure in TESTED
        for first, second in itertools.combinations(videos, 2)
    ]
    corrected = holm([gap.p for *_, gap in found])
    rows = []
    for (measure, first, second, gap), p in zip(found, corrected, strict=True):
        rows.append(
            (
                words(TESTED[measure]),
                words(first),
                words(second),
                count(gap.evidence.videos),
                number(gap.first, 4),
                number(gap.second, 4),
                _signed(gap.value),
                between(gap.low, gap.high, _signed),
                _p(gap.p),
                _p(p),
                words(_verdict(first, second, gap, p, HIGHER_IS_BETTER[measure])),
            )
        )
    sentences = dict.fromkeys(gap.evidence.sentence() for *_, gap in found)
    tests = sum(not math.isnan(p) for p in corrected)
    notes = (
        *sentences,
        f"Paired: both on the same videos. Holm's correction is over the {tests} tests of this table.",
        "No difference shown does not mean that there is none: the interval says how large it may be.",
    )
    header = (
        "Measure", "A", "B", "Videos", "A's", "B's", "A − B", "95 %\ninterval", "p", "p, Holm", "Shown",
    )  # fmt: skip
    demonstrations = [run.name for run in runs if run.demonstration and run.name in videos]
    warning = f"{', '.join(demonstrations)}: demonstration model, not evidence." if demonstrations else ""
    return Table(f"Differences, {name}", header, tuple(rows), notes, f"differences-{name}", warning)


def _verdict(first: str, second: str, one: PairedDifference, p: float, higher: bool) -> str:
    if math.isnan(p):
        return "not tested: too few groups" if not one.evidence.enough else "not tested"
    if p >= SHOWN:
        return "no difference shown"
    return f"{first if (one.value > 0) == higher else second} is better"


def _signed(value: float) -> Cell:
    cell = number(value + 0.0, 4)
    return Cell("+" + cell.text, value) if value > 0 else cell


def _p(value: float) -> Cell:
    if math.isnan(value):
        return number(value)
    return Cell("< 0.0001" if value < 0.0001 else f"{value:.4f}", value)
