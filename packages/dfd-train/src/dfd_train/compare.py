"""Several runs side by side, and beside the thesis: tables as text, CSV, LaTeX and HTML, curves, one page."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dfd_train.errors import UserError
from dfd_train.names import run_names
from dfd_train.report.across import (
    hardest_table,
    matrix_table,
    overlap_table,
    results_table,
    scores_table,
    sizes_table,
    warning,
)
from dfd_train.report.curves import Curve, overlay_curves
from dfd_train.report.files import write_text
from dfd_train.report.run import Run, read_run, warn_of_outdated
from dfd_train.report.sizes import model_size
from dfd_train.report.table import Table
from dfd_train.report.tables import DEMONSTRATION
from dfd_train.report.templates import render
from dfd_train.report.thesis import thesis_tables

Reference = Literal["thesis"]


@dataclass(frozen=True)
class Comparison:
    """What was written, and what a person is told besides."""

    files: tuple[Path, ...]
    """`compare.html` first"""
    notes: tuple[str, ...]
    """runs that no table of the test split has, and how to get them there"""


def compare_runs(
    runs: Sequence[Path],
    out: Path,
    reference: Reference | None = None,
    trust: Sequence[str] = (),
    *,
    hardest: int = 10,
) -> Comparison:
    """Write the comparison of `runs` under `out` and say which runs lack the test split.

    For every set of predictions that a run has: loss, video accuracy and AUC by method, all measures, the
    so many `hardest` videos; then train x test with the identities that both share, the models' cost, and the curves
    of all runs overlaid. With `reference="thesis"` also Tables 5.1-5.6 and 7.1-7.7 in their own shape, the
    thesis's numbers beside those of matching runs. `trust`: as `load_model`, for the models' cost.

    Raises FileNotFoundError where a run is no run folder, UserError for a file that cannot be read, no
    runs, or two of one name.
    """
    if not runs:
        raise UserError("nothing to compare: name at least one run folder")
    contents = [read_run(path) for path in runs]
    run_names(runs)  # two of one name are refused
    for run in contents:
        warn_of_outdated(run)
    notes = tuple(_not_evaluated(run) for run in contents if run.predicted("test") is None)
    sizes = [model_size(run.path, trust) for run in contents]
    own = _tables(contents, hardest)
    own.append(sizes_table(contents, sizes))
    of_thesis = thesis_tables(contents, sizes) if reference == "thesis" else ()
    plots = overlay_curves([Curve(run.name, run.epochs) for run in contents], warning(contents))
    page = render(
        "compare.html",
        runs=contents,
        notes=notes,
        demonstration=DEMONSTRATION if any(run.demonstration for run in contents) else "",
        tables=own,
        thesis=of_thesis,
        plots=plots,
    )
    files = [write_text(out / "compare.html", page)]
    for table in (*own, *of_thesis):
        files += table.write(out / "tables")
    files += [plot.write(out / "curves") for plot in plots]
    return Comparison(tuple(files), notes)


def _not_evaluated(run: Run) -> str:
    command = shlex.join(["dfd-train", "evaluate", str(run.path), "--split", "test"])
    return f"{run.name}: not evaluated on test; run  {command}"


def _tables(runs: Sequence[Run], hardest: int) -> list[Table]:
    tables = []
    for name in dict.fromkeys(one.name for run in runs for one in run.predictions):
        tables.append(scores_table(runs, name))
        tables += [results_table(runs, name, measure) for measure in ("loss", "video_accuracy", "video_auc")]
        tables.append(hardest_table(runs, name, hardest))
    if tables:
        tables += [matrix_table(runs, measure) for measure in ("video_auc", "balanced_accuracy")]
        tables.append(overlap_table(runs))
    return tables
