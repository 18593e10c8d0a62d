"""Tables 5.1-5.6 and 7.1-7.7: the thesis's numbers as printed, and beside them those of the runs that match."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from dfd_train import reference
from dfd_train.report.across import (
    HIGHER_IS_BETTER,
    OVERALL,
    WRITERS,
    HardestList,
    best_marks,
    hardest_list,
    hardest_side_by_side,
    result_by_method,
    size_cells,
)
from dfd_train.report.run import Run
from dfd_train.report.sizes import ModelSize
from dfd_train.report.table import NOTHING, Cell, Mark, Table, number, words
from dfd_train.report.tables import DEMONSTRATION

METHODS = (
    "DeepFakeDetection", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "original_sequences", OVERALL,
)  # fmt: skip
SHORT = {"loss": "loss", "video_accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class _Column:
    """One column of results: its name, its measure, whose it is, and its cells by method."""

    name: str
    measure: str
    of_thesis: bool
    cells: dict[str, Cell]


def thesis_tables(runs: Sequence[Run], sizes: Sequence[ModelSize | None]) -> tuple[Table, ...]:
    """All thirteen tables in the thesis's order; a run matches a column of its model, optimiser and split."""
    tables = []
    for name in reference.TABLES:
        if name in ("5.1", "7.1"):
            table = _sizes(name, runs, sizes)
        elif name == "5.2":
            table = _frozen(name, runs, sizes)
        elif name in ("5.5", "5.6", "7.4"):
            table = _hardest(name, runs)
        else:
            table = _results(name, runs)
        tables.append(table)
    return tuple(tables)


def _results(name: str, runs: Sequence[Run]) -> Table:
    printed = reference.results().query("table == @name")
    columns: list[_Column] = []
    for model, optimizer in dict.fromkeys(zip(printed["model"], printed["optimizer"], strict=True)):
        of_model = printed[(printed["model"] == model) & (printed["optimizer"] == optimizer)]
        for measure in dict.fromkeys(of_model["measure"]):
            cells = of_model[of_model["measure"] == measure].set_index("method")
            title = " ".join(filter(None, (_title(model, optimizer), SHORT[measure], "(thesis)")))
            texts = {method: Cell(row["printed"], row["value"]) for method, row in cells.iterrows()}
            columns.append(_Column(title, measure, True, texts))
            columns += [
                _our_column(run, measure, of_model["split"].iloc[0])
                for run in _matching(runs, model, optimizer)
                if run.predicted(of_model["split"].iloc[0])
            ]
    methods = [
        method for method in METHODS if any(method in column.cells for column in columns if column.of_thesis)
    ]
    rows = tuple((words(method), *_marked(columns, method)) for method in methods)
    return _table(name, ("Method", *(column.name for column in columns)), rows, runs)


def _our_column(run: Run, measure: str, split: str) -> _Column:
    predictions = run.predicted(split)
    assert predictions is not None
    values = result_by_method(predictions.frames, measure)
    cells = {method: WRITERS[measure](value) for method, value in values.items()}
    return _Column(f"{run.name} {SHORT[measure]} (ours)", measure, False, cells)


def _marked(columns: Sequence[_Column], method: str) -> list[Cell]:
    """The row's cells; the best of a measure is marked among the thesis's and among ours, each for itself."""
    cells = [column.cells.get(method, Cell(NOTHING, math.nan)) for column in columns]
    marks: list[Mark] = [""] * len(columns)
    for kind in {(column.measure, column.of_thesis) for column in columns}:
        places = [i for i, column in enumerate(columns) if (column.measure, column.of_thesis) == kind]
        values = [float(cells[i].value) for i in places]
        for place, mark in zip(places, best_marks(values, HIGHER_IS_BETTER[kind[0]]), strict=True):
            marks[place] = mark
    return [Cell(cell.text, cell.value, mark) for cell, mark in zip(cells, marks, strict=True)]


def _hardest(name: str, runs: Sequence[Run]) -> Table:
    printed = reference.hardest().query("table == @name")
    lists: dict[str, HardestList] = {}
    keys = list(dict.fromkeys(zip(printed["model"], printed["optimizer"], strict=True)))
    for model, optimizer in keys:
        own = printed[(printed["model"] == model) & (printed["optimizer"] == optimizer)]
        rows = list(zip(own["method"], own["file"], own["loss"], strict=True))
        lists[f"{_title(model, optimizer)} (thesis)"] = rows
    for model, optimizer in keys:
        for run in _matching(runs, model, optimizer):
            if predictions := run.predicted("val"):
                lists[f"{run.name} (ours)"] = hardest_list(predictions.frames)
    heading = reference.heading(name)
    return hardest_side_by_side(f"Table {name}: {heading.title}", lists, f"table-{name}", _notes(name, runs))


def _sizes(name: str, runs: Sequence[Run], sizes: Sequence[ModelSize | None]) -> Table:
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
        rows.append((words(f"{_title(model)} (thesis)"), *(_printed(row[column]) for column in wanted)))
        for run, size in zip(runs, sizes, strict=True):
            if run.model == model:
                ours = dict(
                    zip(("input_size", "macs_g", "params_m", "size_mb"), size_cells(size), strict=True)
                )
                rows.append(
                    (words(f"{run.name} (ours)"), *(ours.get(column, words("")) for column in wanted))
                )
    return _table(name, ("Model", *(titles[column] for column in wanted)), tuple(rows), runs)


def _frozen(name: str, runs: Sequence[Run], sizes: Sequence[ModelSize | None]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for _, row in reference.frozen().iterrows():
        model = str(row["model"])
        rows.append(
            (words(f"{_title(model)} (thesis)"), words(row["frozen"]), words(row["trained"]), words(""))
        )
        for run, size in zip(runs, sizes, strict=True):
            if run.model == model:
                level = str(run.config.get("model", {}).get("train_level", ""))
                share = number(100 * size.trained / size.parameters, 1) if size else words("")
                rows.append((words(f"{run.name} (ours)"), words(""), words(f"level {level}"), share))
    return _table(name, ("Model", "Frozen", "Trained", "Parameters trained (%)"), tuple(rows), runs)


def _table(
    name: str, header: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...], runs: Sequence[Run]
) -> Table:
    title = f"Table {name}: {reference.heading(name).title}"
    return Table(title, header, rows, _notes(name, runs), slug=f"table-{name}")


def _notes(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    said = reference.heading(name).notes
    shown = [run.name for run in runs if run.demonstration]
    return (*said, f"{', '.join(shown)}: {DEMONSTRATION}.") if shown else said


def _matching(runs: Sequence[Run], model: str, optimizer: str) -> list[Run]:
    return [run for run in runs if run.model == model and optimizer in ("", run.optimizer)]


def _title(model: str, optimizer: str = "") -> str:
    return " ".join(filter(None, (reference.MODEL_TITLES[model], reference.OPTIMIZER_TITLES[optimizer])))


def _printed(text: object) -> Cell:
    """A cell with what the thesis prints, as a number in the CSV where it is one."""
    value = pd.to_numeric(pd.Series([str(text)]), errors="coerce").iloc[0]
    return words(str(text)) if math.isnan(value) else Cell(str(text), float(value))
