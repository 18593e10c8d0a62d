"""RUN/report.html: everything about one run in one file that needs nothing else."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from dfd_train.data.selection import in_split
from dfd_train.errors import UserError
from dfd_train.report.by_set import sets_table
from dfd_train.report.chosen import chosen_by
from dfd_train.report.curves import Plot, gradient_flow, training_curves
from dfd_train.report.distributions import roc_curves, score_histogram
from dfd_train.report.files import write_text
from dfd_train.report.operating import deployed_plots, deployed_tables, operating_table
from dfd_train.report.run import Predictions, Run, read_run, warn_of_outdated
from dfd_train.report.sheets import HardVideo, Sheet, Tried, contact_sheets, hardest_sheet
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.tables import (
    DEMONSTRATION,
    Coverage,
    evaluation_table,
    hardest_table,
    methods_in,
    methods_table,
    summary_table,
)
from dfd_train.report.templates import render
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted, plural

log = logging.getLogger(__name__)
SPLIT_TITLES = {
    "test": "Test split",
    "val": "Validation split",
    "train": "Training split",
    "all": "All videos",
}


@dataclass(frozen=True)
class Headline:
    """One number that the page opens with, and the interval around it."""

    title: str
    value: str
    interval: str


@dataclass(frozen=True)
class Results:
    """What is shown for one table of predictions."""

    name: str
    title: str
    sentence: str
    headlines: tuple[Headline, ...]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...]
    sheets: tuple[Sheet, ...]
    hardest: tuple[HardVideo, ...]

    @property
    def folded(self) -> tuple[Table, ...]:
        """The tables after the first two, each under its title; the hardest videos stand there as pictures."""
        return tuple(table for table in self.tables[2:] if table.slug != "hardest")


@dataclass(frozen=True)
class FactList:
    """A titled list of names and values."""

    title: str
    rows: tuple[tuple[str, str], ...]


def write_report(run: Path, hardest: int = 10) -> Path:
    """Writes `run`/report.html and, in folders beside it, its tables and every epoch's gradient flow.

    The page shows so many `hardest` videos, and of the gradient flow the first and the last epoch. Returns its path.

    Crops of the first set of predictions (test, else validation) are shown where the prepared data set that
    the run names can be read; without it the page says so.
    Raises FileNotFoundError where `run` is no run folder, UserError where a file in it cannot be read.
    """
    contents = read_run(run)
    warn_of_outdated(contents)
    prepared = _open_prepared(contents)
    results = tuple(
        _results(contents, one, prepared, hardest, with_crops=number == 0)
        for number, one in enumerate(contents.predictions)
    )
    for one in results:
        for table in one.tables:
            table.write(run / "tables" / one.name.replace("/", "-"))
    best = contents.best_epoch()
    demonstration = DEMONSTRATION if contents.demonstration else ""
    gradients = gradient_flow(contents.gradients, demonstration)
    for plot in gradients:
        plot.write(run / "curves")
    page = render(
        "page.html",
        run=contents,
        demonstration=demonstration,
        subtitle=_subtitle(contents),
        results=results,
        best_epoch=best,
        curves=training_curves(contents.epochs, best) if len(contents.epochs) else (),
        gradients=gradients if len(gradients) < 3 else (gradients[0], gradients[-1]),
        data_table=_data_table(prepared.videos) if prepared else None,
        facts=_facts(contents),
        crops_note=_crops_note(prepared),
    )
    return write_text(run / "report.html", page)


@dataclass(frozen=True)
class _Prepared:
    videos: pd.DataFrame
    read: Tried


def _open_prepared(run: Run) -> _Prepared | None:
    from ffpp_prep.format.joined import open_sets

    if not run.at_hand:
        return None
    try:
        prepared = open_sets(run.at_hand)
    except (OSError, UserError) as error:
        log.warning("the report shows no crops: %s", error)
        return None
    return _Prepared(prepared.videos, Tried(prepared.read_crop))


def _crops_note(prepared: _Prepared | None) -> str:
    """Returns why crops are not shown; empty where all that were asked for are."""
    if prepared is None:
        return "Crops are not shown: the prepared data set of this run could not be opened."
    if not prepared.read.failed:
        return ""
    return (
        f"Not shown: {counted(prepared.read.failed, 'crop')}, unreadable: {printable(prepared.read.reason)}"
    )


def _results(
    run: Run, predictions: Predictions, prepared: _Prepared | None, hardest: int, with_crops: bool
) -> Results:
    frames = predictions.frames
    known = run.calibration(predictions)
    read = prepared.read if prepared and with_crops and not predictions.other_data else None
    measures = predictions.measures
    summary, ends = measures.summary(), measures.intervals()
    coverage = None
    if prepared and not predictions.other_data:
        coverage = Coverage.of(in_split(prepared.videos, predictions.split), frames)
    headlines = tuple(
        Headline(
            title,
            write(getattr(summary, name)).text,
            between(getattr(ends.low, name), getattr(ends.high, name), write).text,
        )
        for title, name, write in (
            ("Balanced accuracy", "balanced_accuracy", percent),
            ("AUC", "video_auc", lambda value: number(value, 3)),
            ("Accuracy", "video_accuracy", percent),
            ("Frame accuracy", "frame_accuracy", percent),
            ("Equal error rate", "eer", percent),
        )
    )
    fakes = int(frames.loc[frames["label"] == 1, "video_id"].nunique())
    per_video = predictions.metadata.get("frames_per_video")
    evaluated = run.evaluated(predictions)
    return Results(
        name=predictions.name,
        title=_title(predictions),
        sentence=f"{summary.videos:,} {plural(summary.videos, 'video')}, {fakes:,} fake and "
        f"{summary.videos - fakes:,} real; "
        + (
            f"{per_video} {plural(1 if per_video == '1' else 2, 'frame')} a video."
            if per_video
            else f"{summary.frames:,} {plural(summary.frames, 'frame')}."
        )
        + (f" {evaluated[0].upper()}{evaluated[1:]}." if evaluated else "")
        + " Measures are over videos unless they name frames; intervals cover 95 %. "
        + " ".join(filter(None, (ends.evidence.sentence(), chosen_by(run, predictions)))),
        headlines=headlines,
        tables=(
            evaluation_table(measures, coverage, run.demonstration),
            summary_table(measures, run.demonstration),
            operating_table(frames, measures.aggregation, run.demonstration, known),
            methods_table(measures, run.demonstration),
            hardest_table(frames, hardest, run.demonstration),
            *filter(None, [sets_table(measures, run.demonstration)]),
            *(deployed_tables(frames, known, run.demonstration) if known else ()),
        ),
        plots=tuple(
            plot
            for plot in (
                score_histogram(frames, predictions.name, measures.aggregation),
                roc_curves(frames, predictions.name, measures.aggregation),
            )
            if plot
        )
        + (deployed_plots(frames, known, predictions.name) if known else ()),
        sheets=contact_sheets(frames, read) if read else (),
        hardest=hardest_sheet(frames, read, hardest),
    )


def _title(predictions: Predictions) -> str:
    title = SPLIT_TITLES.get(predictions.split, predictions.split)
    title += f", protocol of {predictions.protocol}" if predictions.protocol else ""
    return f"{title} of {predictions.other_data}" if predictions.other_data else title


def _subtitle(run: Run) -> str:
    data = run.config["data"]
    parts = [
        f"{run.model} ({run.variant})" if run.variant else run.model,
        f"{run.optimizer}, learning rate {run.config['optimizer']['lr']:g}",
        run.unfinished or counted(len(run.epochs), "epoch"),
        f"{data['batches']} batches of {data['batch_size']}",
    ]
    return " · ".join(parts)


def _data_table(videos: pd.DataFrame) -> Table:
    """Returns all scanned videos by method and split; what cannot be used is in a column of its own."""
    splits = [split for split in ("train", "val", "test", "unused") if (videos["split"] == split).any()]
    usable = videos["status"].isin(("ok", "partial"))
    rows: list[tuple[Cell, ...]] = []
    for method in [*methods_in(videos), "Overall"]:
        own = videos if method == "Overall" else videos[videos["method"] == method]
        counts = [count(int((own["split"] == split).sum())) for split in splits]
        rows.append((words(method), *counts, count(len(own)), count(int((~usable[own.index]).sum()))))
    header = ("Method", *splits, "All", "Of these without usable face")
    return Table("Videos by method and split", header, tuple(rows), slug="data")


def _facts(run: Run) -> tuple[FactList, ...]:
    sections = [
        FactList("Data set", tuple(_flat(run.data))),
        FactList("Environment", tuple(_flat(run.environment))),
    ]
    sections += [FactList(f"Settings: {name}", tuple(_flat(table))) for name, table in run.config.items()]
    for predictions in run.predictions:
        sections.append(FactList(f"Predictions: {predictions.name}", tuple(_flat(predictions.metadata))))
    return tuple(section for section in sections if section.rows)


def _flat(value: object, prefix: str = "") -> Sequence[tuple[str, str]]:
    """Returns nested mappings as (dotted name, text) rows."""
    if not isinstance(value, Mapping):
        return [(prefix, ", ".join(map(_said, value)) if isinstance(value, list | tuple) else _said(value))]
    return [
        row for key, inner in value.items() for row in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    ]


def _said(value: object) -> str:
    """Returns a value as the page shows it: of a path only its name, since folders tell who made the run."""
    text = str(value)
    for kind in (PurePosixPath, PureWindowsPath):
        if (path := kind(text)).is_absolute() or path.parts[:1] == ("..",):
            return path.name
    return text
