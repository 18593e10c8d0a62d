"""The results of several runs as one figure, one table and one page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfd_train.report.curves import Plot
from dfd_train.report.files import write_text
from dfd_train.report.svg import GREY, PALETTE, STYLE, to_svg
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.templates import render
from dfd_train.robustness.conditions import FILMS, Condition, Sweep
from dfd_train.robustness.differences import DEPLOYED
from dfd_train.robustness.sweep import SweepResult
from dfd_train.runs.folder import DEMONSTRATION

MEASURES = (
    ("video_accuracy", "Accuracy"),
    ("balanced_accuracy", "Balanced accuracy"),
    ("video_auc", "Video AUC"),
)
BY_CHANCE = ("balanced_accuracy", "video_auc")  # are 0.5; accuracy by chance depends on how many are fake
COLUMNS = 4


def write_results(
    results: Sequence[SweepResult], sweeps: Sequence[Sweep], split: str, out: Path
) -> tuple[Path, tuple[Table, Table]]:
    """Writes robustness.html, robustness.svg and the tables as text, CSV, LaTeX and HTML; returns the page
    and the tables.

    Sweeps that no run was scored under are left out.
    """
    scored = {condition.sweep for result in results for condition in result.summaries}
    sweeps = [sweep for sweep in sweeps if sweep.name in scored]
    plot = robustness_figure(results, sweeps)
    tables = (robustness_table(results, sweeps, split), differences_table(results, sweeps, split))
    page = render(
        "robustness.html", names=[result.run for result in results], split=split, plot=plot, tables=tables,
        demonstration=_warning(results), columns=min(COLUMNS, len(sweeps)),
        remarks=[f"{result.run}: {remark}" for result in results for remark in result.remarks],
    )  # fmt: skip
    plot.write(out)
    for table in tables:
        table.write(out)
    return write_text(out / "robustness.html", page), tables


def robustness_table(results: Sequence[SweepResult], sweeps: Sequence[Sweep], split: str) -> Table:
    """Returns a row a condition; for each run accuracy, balanced accuracy and AUC over videos."""
    header = (
        "Change",
        "Level",
        *(f"{result.run}\n{name}" for result in results for name in ("accuracy", "balanced", "AUC")),
    )
    rows: list[tuple[Cell, ...]] = []
    for sweep in sweeps:
        for condition in sweep.conditions():
            cells = [words(sweep.title), _level(condition)]
            for result in results:
                summary = result.summaries.get(condition)
                cells.append(percent(summary.video_accuracy if summary else math.nan))
                cells.append(percent(summary.balanced_accuracy if summary else math.nan))
                cells.append(number(summary.video_auc if summary else math.nan, 4))
            rows.append(tuple(cells))
    notes = (f"Each level is applied alone, to {_what(sweeps)}; a video counts as fake above 0.5.",)
    return Table(
        f"Robustness, {split}", header, tuple(rows), notes, slug="robustness-table", warning=_warning(results)
    )


def differences_table(results: Sequence[SweepResult], sweeps: Sequence[Sweep], split: str) -> Table:
    """Returns a row a run, changed condition and measure: how far it is from the clean score on the same videos."""
    rows: list[tuple[Cell, ...]] = []
    sentences: dict[str, None] = {}
    deployed = any(set(DEPLOYED) & set(gaps) for result in results for gaps in result.differences.values())
    for result in results:
        for condition in (c for sweep in sweeps for c in sweep.conditions() if c in result.differences):
            title = next(sweep.title for sweep in sweeps if sweep.name == condition.sweep)
            for name, gap in result.differences[condition].items():
                sentences.setdefault(gap.evidence.sentence())
                rows.append(
                    (
                        *(words(result.run), words(title), _level(condition), words(name)),
                        count(gap.evidence.videos),
                        *(number(value, 4) for value in (gap.first, gap.second, gap.value)),
                        between(gap.low, gap.high, lambda value: number(value, 4)),
                        number(gap.p, 4),
                    )
                )
    header = (
        "Run", "Change", "Level", "Measure", "Videos", "Changed", "Clean", "Difference", "95 %\ninterval", "p",
    )  # fmt: skip
    notes = (
        *sentences,
        "Difference: changed less clean, on the videos that both scored; the interval is paired, over people.",
        "p is of one comparison; of many rows some fall below 0.05 by chance.",
        *(("Deployed score: what predict shows; called fake above validation's best threshold.",) * deployed),
    )
    title = f"Differences to the clean score, {split}"
    return Table(title, header, tuple(rows), notes, "robustness-differences", _warning(results))


def _what(sweeps: Sequence[Sweep]) -> str:
    films = all(sweep.name in FILMS for sweep in sweeps)
    return "the whole film, whose faces are detected and cut again" if films else "the face crop by itself"


def robustness_figure(results: Sequence[SweepResult], sweeps: Sequence[Sweep]) -> Plot:
    """Returns a column a sweep, the measures below each other, a line a run; the ring is the plain evaluation."""
    columns = min(COLUMNS, len(sweeps))
    bands = math.ceil(len(sweeps) / columns)
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(3.1 * columns, 2.1 * len(MEASURES) * bands))
        grid = drawn.subplots(len(MEASURES) * bands, columns, squeeze=False)
        for axes in grid.flat[:]:
            axes.set_visible(False)
        for place, sweep in enumerate(sweeps):
            band, column = divmod(place, columns)
            for row, (measure, title) in enumerate(MEASURES):
                axes = grid[len(MEASURES) * band + row][column]
                axes.set_visible(True)
                _draw(axes, results, sweep, measure)
                axes.set_ylabel(title if column == 0 else "")
                axes.set_xlabel(sweep.title if row == len(MEASURES) - 1 else "")
        handles, labels = grid[0][0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper left", ncols=len(labels))
        if _warning(results):
            drawn.text(1.0, 1.0, _warning(results), fontsize=8, ha="right", va="top")
        caption = "Accuracy, balanced accuracy and AUC over videos, under each change"
        return Plot("robustness", caption, to_svg(drawn, "robustness", caption))


def _draw(axes: Axes, results: Sequence[SweepResult], sweep: Sweep, measure: str) -> None:
    """Draws the levels in equal steps: they are about equally hard, and their distances say nothing."""
    conditions = sorted(sweep.conditions(), key=lambda condition: _order(sweep, condition))
    for number_of_run, result in enumerate(results):
        known = [(x, c) for x, c in enumerate(conditions) if c in result.summaries]
        values = [float(getattr(result.summaries[c], measure)) for _, c in known]
        colour = PALETTE[number_of_run % len(PALETTE)]
        axes.plot([x for x, _ in known], values, color=colour, marker="o", markersize=3, label=result.run)
        for (x, condition), value in zip(known, values, strict=True):
            if not condition.changes:
                axes.plot(x, value, color=colour, marker="o", markersize=8, fillstyle="none", linestyle="")
    if measure in BY_CHANCE:
        axes.axhline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_ylim(0.0, 1.03)
    axes.set_xticks(range(len(conditions)), [_level(c).text for c in conditions], fontsize=8)


def _order(sweep: Sweep, condition: Condition) -> float:
    """Orders conditions from no change to the strongest; gamma and margin, which go both ways, by their value."""
    if not condition.changes and sweep.unchanged is None:
        return -math.inf
    place = sweep.levels[0] < sweep.levels[-1]
    return condition.level if place else -condition.level


def _level(condition: Condition) -> Cell:
    if condition.changes:
        return Cell(f"{condition.level:g}", condition.level)
    return Cell("none", "none")


def _warning(results: Sequence[SweepResult]) -> str:
    return DEMONSTRATION if any(result.demonstration for result in results) else ""
