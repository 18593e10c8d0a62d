"""Several runs side by side, and beside the thesis: tables as text, CSV, LaTeX and HTML, curves, one page."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dfd_train.errors import UserError
from dfd_train.report.across import (
    hardest_table,
    matrix_table,
    overlap_table,
    results_table,
    scores_table,
    sizes_table,
    warning,
)
from dfd_train.report.common import on_common_videos, predictions_of
from dfd_train.report.curves import Curve, overlay_curves
from dfd_train.report.differences import differences_table
from dfd_train.report.files import write_text
from dfd_train.report.others import Judged, Missing, OtherScores, judged_on, read_scores
from dfd_train.report.run import SEVERAL, Predictions, Run, read_run, warn_of_outdated
from dfd_train.report.seeds import seeds_table
from dfd_train.report.sizes import model_size
from dfd_train.report.table import Table
from dfd_train.report.tables import DEMONSTRATION
from dfd_train.report.templates import render
from dfd_train.report.thesis import thesis_tables
from dfd_train.report.works import Works
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.names import run_names
from ffpp_prep.options import Checked
from ffpp_prep.text.units import plural

Reference = Literal["thesis"]


@dataclass(frozen=True)
class CompareOutcome:
    """What was written, and what a person is told besides."""

    files: tuple[Path, ...]
    """`compare.html` first"""
    notes: tuple[str, ...]
    """what was compared on which videos; runs that no table of the test split has, and how to get them there"""
    text: str
    """the tables of differences"""


@dataclass(frozen=True)
class Others(Checked):
    """Other detectors' scores beside the runs."""

    files: Mapping[str, Path]
    """by name: CSV or Parquet with `video_id, score[, frame]`"""
    missing: Missing = "refuse"
    """what a video without a score counts as"""


def compare_runs(
    runs: Sequence[Path],
    out: Path,
    reference: Reference | None = None,
    trust: Sequence[str] = (),
    *,
    hardest: int = 10,
    others: Others | None = None,
    common: bool = False,
) -> CompareOutcome:
    """Writes the comparison of `runs`, and of others' scores, under `out`; says which runs lack the test split.

    For every set of predictions that a run has: loss, video accuracy and AUC by method, all measures, the
    differences of each pair on the same videos with their test, mean and deviation over seeds of one recipe, the
    so many `hardest` videos; then train x test with the identities that both share, the models' cost, and the curves
    of all runs overlaid. With `reference="thesis"` also Tables 5.1-5.6 and 7.1-7.7 in their own shape, the
    thesis's numbers beside those of matching runs. `trust`: as `load_model`, for the models' cost. `common`: where
    not all were tested on the same videos, only those that all scored count; else that is refused.

    Raises FileNotFoundError where a run is no run folder, UserError for a file that cannot be read, no
    runs, one that stands twice, or other test sets without `common`.
    """
    if not runs:
        raise UserError("nothing to compare: name at least one run folder")
    called = run_names(runs)
    contents = [replace(read_run(path), called=name) for path, name in zip(runs, called, strict=True)]
    for run in contents:
        warn_of_outdated(run)
    scored = _others(contents, others or Others({}), common)
    shared = on_common_videos([*contents, *scored], common)
    notes = [_restricted(name, [*contents, *scored], shared[name]) for name in shared]
    contents = [
        replace(run, predictions=tuple(_on(one, shared) for one in run.predictions)) for run in contents
    ]
    scored = [replace(one, predictions=_on(one.predictions, shared)) for one in scored]
    notes += _several_faces(contents)
    notes += [f"{one.name}: {one.said}." for one in scored]
    notes += [_not_evaluated(run) for run in contents if run.predicted("test") is None]
    sizes = [model_size(run.path, trust) for run in contents]
    apart = {name for name, videos in shared.items() if not videos}
    works = Works()
    own = _tables(contents, scored, hardest, apart, works)
    own.append(sizes_table(contents, sizes))
    of_thesis = thesis_tables(contents, sizes, works) if reference == "thesis" else ()
    plots = overlay_curves([Curve(run.name, run.epochs) for run in contents], warning(contents))
    page = render(
        "compare.html",
        runs=contents,
        notes=notes,
        remarks=[f"{run.name}: {remark}" for run in contents for remark in run.published],
        demonstration=DEMONSTRATION if any(run.demonstration for run in contents) else "",
        tables=own,
        thesis=of_thesis,
        plots=plots,
    )
    files = [write_text(out / "compare.html", page)]
    for table in (*own, *of_thesis):
        files += table.write(out / "tables")
    files += [plot.write(out / "curves") for plot in plots]
    told = [table.to_text() for table in own if table.slug.startswith(("differences-", "seeds-"))]
    return CompareOutcome(tuple(files), tuple(notes), "\n".join(told))


def _others(runs: Sequence[Run], others: Others, common: bool) -> list[OtherScores]:
    """Returns other detectors' scores on the runs' videos. Raises: UserError, also where one is called as a run is."""
    if not others.files:
        return []
    videos, taken = judged_on(runs), {run.name for run in runs}
    for name in others.files:
        if name in taken:
            raise UserError(f"--scores {name}: a run has this name, take another")
    return [read_scores(name, path, videos, others.missing, common) for name, path in others.files.items()]


def _on(predictions: Predictions, shared: Mapping[str, frozenset[str]]) -> Predictions:
    """Returns predictions of the shared videos only; whole where all have the same, or none is shared."""
    videos = shared.get(predictions.name)
    if not videos:
        return predictions
    frames = predictions.frames[predictions.frames["video_id"].isin(videos)].reset_index(drop=True)
    return replace(predictions, frames=frames)


def _restricted(name: str, judged: Sequence[Judged], videos: frozenset[str]) -> str:
    having = {one.name: found for one in judged if (found := one.predicted(name))}
    counts = ", ".join(
        f"{run} scored {found.frames['video_id'].nunique():,}" for run, found in having.items()
    )
    if not videos:
        return f"{name}: no video was scored by all ({counts}): no table compares them."
    return f"{name}: numbers are over the {len(videos):,} {plural(len(videos), 'video')} that all scored ({counts})."


def _several_faces(runs: Sequence[Run]) -> list[str]:
    """Says which face of several each run was scored by, where that's not the same, or the touched one."""
    notes = []
    for name in dict.fromkeys(one.name for run in runs for one in run.predictions):
        said = {run.name: found.several_faces for run in runs if (found := run.predicted(name))}
        if len(set(said.values())) > 1 or SEVERAL["touched"] in said.values():
            told = "; ".join(f"{run}: {words or 'not said'}" for run, words in said.items())
            notes.append(f"{name}: {told}.")
    return notes


def _not_evaluated(run: Run) -> str:
    data = ["--data", "WORK"] if RunFolder(run.path).is_adopted else []  # it has none of its own
    command = shlex.join(["dfd-train", "evaluate", str(run.path), "--split", "test", *data])
    return f"{run.name}: not evaluated on test; run  {command}"


def _tables(
    runs: Sequence[Run], scored: Sequence[OtherScores], hardest: int, apart: set[str], works: Works
) -> list[Table]:
    """Returns the tables of our own; predictions of the names `apart` share no video and stand in train x test only."""
    tables = []
    judged: list[Judged] = [*runs, *scored]
    names = dict.fromkeys(one.name for each in judged for one in predictions_of(each))
    for name in (name for name in names if name not in apart):
        tables.append(scores_table(judged, name))
        if sum(each.predicted(name) is not None for each in judged) > 1:
            tables.append(differences_table(judged, name))
        tables += filter(None, [seeds_table(runs, name)])
        tables += [
            results_table(judged, name, measure) for measure in ("loss", "video_accuracy", "video_auc")
        ]
        tables.append(hardest_table(judged, name, hardest))
    if names:
        tables += [matrix_table(runs, measure) for measure in ("video_auc", "balanced_accuracy")]
        tables.append(overlap_table(runs, works))
    return tables
