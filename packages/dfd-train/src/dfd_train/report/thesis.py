"""Tables 5.1-5.6 and 7.1-7.8: the thesis's numbers as printed, and beside them those of the runs that match."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from dfd_train import reference
from dfd_train.report.across import (
    WRITERS,
    HardestList,
    hardest_list,
    hardest_side_by_side,
    merged_notes,
    result_by_method,
    size_cells,
    warning,
)
from dfd_train.report.beside import Differences, of_thesis
from dfd_train.report.differences import HIGHER_IS_BETTER, OVERALL, marks_by_test
from dfd_train.report.run import Predictions, Run
from dfd_train.report.sizes import ModelSize
from dfd_train.report.table import NOTHING, Cell, Mark, Table, number, words
from dfd_train.report.works import Works

BEST = "among the thesis's columns, the best as printed; among yours, better than all others by paired tests"
SHORT = {"loss": "loss", "video_accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class _Ours:
    """Predictions of a run that stand beside the thesis's: of the thesis's methods, and everything that was scored."""

    run: Run
    frames: pd.DataFrame
    scored: Predictions


@dataclass(frozen=True)
class _Column:
    """One column of results: its name, its measure, its cells by method, and its run; the thesis's has none."""

    name: str
    measure: str
    cells: dict[str, Cell]
    ours: "_Ours | None" = None
    videos: pd.DataFrame | None = None
    """of ours, one row a video"""

    @property
    def of_thesis(self) -> bool:
        return self.ours is None


def thesis_tables(
    runs: Sequence[Run], sizes: Sequence[ModelSize | None], works: Works | None = None
) -> tuple[Table, ...]:
    """Returns all fourteen tables in the thesis's order; a run matches a column of its model, optimizer and split.

    `works`: prepared sets that are open already.
    """
    works = works or Works()
    beside = {run.name: Differences.of(run, works) for run in runs if run.model in reference.PRESETS}
    tables = []
    for name in reference.TABLES:
        if name in ("5.1", "7.1"):
            table = _sizes(name, runs, sizes, beside)
        elif name == "5.2":
            table = _frozen(name, runs, sizes, beside)
        elif name in ("5.5", "5.6", "7.4"):
            table = _hardest(name, runs, beside)
        elif name == "7.8":  # of single frames that only the thesis has
            table = _results(name, (), {})
        else:
            table = _results(name, runs, beside)
        tables.append(table)
    return tuple(tables)


def _results(name: str, runs: Sequence[Run], beside: Mapping[str, Differences]) -> Table:
    printed = reference.results().query("table == @name")
    columns: list[_Column] = []
    measures = printed["measure"].unique()
    shown = SHORT if len(measures) > 1 else dict.fromkeys(measures, "")
    for model, optimizer in dict.fromkeys(zip(printed["model"], printed["optimizer"], strict=True)):
        of_model = printed[(printed["model"] == model) & (printed["optimizer"] == optimizer)]
        for measure in dict.fromkeys(of_model["measure"]):
            cells = of_model[of_model["measure"] == measure].set_index("method")
            title = "\n".join(filter(None, (*_names(model, optimizer), shown[measure], "thesis")))
            texts = {method: Cell(row["printed"], row["value"]) for method, row in cells.iterrows()}
            columns.append(_Column(title, measure, texts))
            columns += [
                _our_column(ours, measure, shown[measure])
                for ours in _matching(runs, model, optimizer, of_model["split"].iloc[0])
            ]
    methods = [
        method
        for method in (*reference.METHODS, OVERALL)
        if any(method in column.cells for column in columns if column.of_thesis)
    ]
    rows = _marked(columns, methods)
    ours = list({column.ours.run.name: column.ours for column in columns if column.ours}.values())
    header = ("Method", *(column.name for column in columns))
    return replace(_table(name, header, rows, [one.run for one in ours], _notes(ours, beside)), best=BEST)


def _our_column(ours: _Ours, measure: str, shown: str) -> _Column:
    values = result_by_method(ours.scored, measure, ours.frames)
    cells = {method: WRITERS[measure](value) for method, value in values.items()}
    return _Column(
        "\n".join(filter(None, (ours.run.name, shown, "ours"))),
        measure,
        cells,
        ours,
        ours.scored.measures.judged(ours.frames),
    )


def _marked(columns: Sequence[_Column], methods: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    """Returns the rows; marked is the thesis's best as printed, and of ours what paired tests show to be best."""
    rows = {
        method: [column.cells.get(method, Cell(NOTHING, math.nan)) for column in columns]
        for method in methods
    }
    for measure, printed in {(column.measure, column.of_thesis) for column in columns}:
        if measure not in HIGHER_IS_BETTER:  # a probability of the class called is no merit
            continue
        places = [
            i for i, column in enumerate(columns) if (column.measure, column.of_thesis) == (measure, printed)
        ]
        values = {method: [float(rows[method][i].value) for i in places] for method in methods}
        if printed:
            marks = {method: _best_printed(own, HIGHER_IS_BETTER[measure]) for method, own in values.items()}
        else:
            marks = marks_by_test(values, [columns[i].videos for i in places], measure)
        for method in methods:
            for place, mark in zip(places, marks[method], strict=True):
                rows[method][place] = replace(rows[method][place], mark=mark)
    return tuple((words(method), *cells) for method, cells in rows.items())


def _best_printed(values: Sequence[float], higher: bool) -> list[Mark]:
    """Returns "best" for the best of the values, ties included; no mark where there is nothing to compare."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return [""] * len(values)
    best = max(known) if higher else min(known)
    return ["best" if value == best else "" for value in values]


def _hardest(name: str, runs: Sequence[Run], beside: Mapping[str, Differences]) -> Table:
    printed = reference.hardest().query("table == @name")
    lists: dict[str, HardestList] = {}
    keys = list(dict.fromkeys(zip(printed["model"], printed["optimizer"], strict=True)))
    for model, optimizer in keys:
        own = printed[(printed["model"] == model) & (printed["optimizer"] == optimizer)]
        rows = list(zip(own["method"], own["file"], own["loss"], strict=True))
        lists["\n".join((*_names(model, optimizer), "thesis"))] = rows
    shown = [ours for model, optimizer in keys for ours in _matching(runs, model, optimizer, "val")]
    lists |= {f"{ours.run.name}\nours": hardest_list(ours.frames) for ours in shown}
    heading = reference.heading(name)
    title = f"Table {name}: {heading.title}"
    notes = heading.notes + _notes(shown, beside)
    return hardest_side_by_side(title, lists, f"table-{name}", notes, warning(ours.run for ours in shown))


def _sizes(
    name: str, runs: Sequence[Run], sizes: Sequence[ModelSize | None], beside: Mapping[str, Differences]
) -> Table:
    printed = reference.sizes().query("table == @name")
    wanted = {
        "5.1": ("input_size", "params_m", "size_mb", "top1_error", "top5_error"),
        "7.1": ("input_size", "macs_g", "params_m", "size_mb"),
    }[name]
    titles = {
        "input_size": "Input", "macs_g": "MACs (G)", "params_m": "Parameters (M)", "size_mb": "Size (MB)",
        "top1_error": "Top-1 error (%)", "top5_error": "Top-5 error (%)",
    }  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for _, row in printed.iterrows():
        model = str(row["model"])
        rows.append(
            (
                words(f"{reference.MODEL_TITLES[model]} (thesis)"),
                *(_printed(row[column]) for column in wanted),
            )
        )
        for run, size in zip(runs, sizes, strict=True):
            if run.model == model:
                ours = dict(
                    zip(("input_size", "macs_g", "params_m", "size_mb"), size_cells(size), strict=True)
                )
                rows.append(
                    (words(f"{run.name} (ours)"), *(ours.get(column, words("")) for column in wanted))
                )
    header, shown = ("Model", *(titles[column] for column in wanted)), _of_models(runs, printed)
    return _table(name, header, tuple(rows), shown, _networks(shown, beside))


def _frozen(
    name: str, runs: Sequence[Run], sizes: Sequence[ModelSize | None], beside: Mapping[str, Differences]
) -> Table:
    printed = reference.frozen()
    rows: list[tuple[Cell, ...]] = []
    for _, row in printed.iterrows():
        model = str(row["model"])
        rows.append(
            (
                words(f"{reference.MODEL_TITLES[model]} (thesis)"),
                words(row["frozen"]),
                words(row["trained"]),
                words(""),
            )
        )
        for run, size in zip(runs, sizes, strict=True):
            if run.model == model:
                level = str(run.config["model"]["train_level"])
                share = number(100 * size.trained / size.parameters, 1) if size else words("")
                rows.append((words(f"{run.name} (ours)"), words(""), words(f"level {level}"), share))
    header, shown = ("Model", "Frozen", "Trained", "Parameters trained (%)"), _of_models(runs, printed)
    return _table(name, header, tuple(rows), shown, _networks(shown, beside))


def _table(
    name: str,
    header: tuple[str, ...],
    rows: tuple[tuple[Cell, ...], ...],
    shown: Sequence[Run],
    notes: tuple[str, ...],
) -> Table:
    heading = reference.heading(name)
    title = f"Table {name}: {heading.title}"
    return Table(title, header, rows, heading.notes + notes, slug=f"table-{name}", warning=warning(shown))


def _notes(shown: Sequence[_Ours], beside: Mapping[str, Differences]) -> tuple[str, ...]:
    """Returns what differs from the thesis, of every run whose results are shown."""
    return merged_notes(
        (ours.run.name, note.removeprefix(ours.run.name))
        for ours in shown
        for note in beside[ours.run.name].notes(ours.scored)
    )


def _networks(shown: Sequence[Run], beside: Mapping[str, Differences]) -> tuple[str, ...]:
    """Says which runs have another network than the thesis's of that name, or another input."""
    return tuple(note for run in shown for note in beside[run.name].of_network())


def _matching(runs: Sequence[Run], model: str, optimizer: str, split: str) -> list[_Ours]:
    """Returns runs of that model and optimizer with predictions of the split, and among them of the thesis's
    methods.
    """
    return [
        _Ours(run, frames, scored)
        for run in runs
        if run.model == model
        and optimizer in ("", run.optimizer)
        and (scored := run.predicted(split))
        and len(frames := of_thesis(scored.frames))
    ]


def _of_models(runs: Sequence[Run], printed: pd.DataFrame) -> list[Run]:
    return [run for run in runs if run.model in set(printed["model"])]


def _names(model: str, optimizer: str) -> tuple[str, ...]:
    return tuple(filter(None, (reference.MODEL_TITLES[model], reference.OPTIMIZER_TITLES[optimizer])))


def _printed(text: object) -> Cell:
    """Returns a cell with what the thesis prints, as a number in the CSV where it is one."""
    value = pd.to_numeric(pd.Series([str(text)]), errors="coerce").iloc[0]
    return words(str(text)) if math.isnan(value) else Cell(str(text), float(value))
