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
    warning,
)
from dfd_train.report.run import Run
from dfd_train.report.sizes import ModelSize
from dfd_train.report.table import NOTHING, Cell, Mark, Table, number, words

METHODS = (
    "DeepFakeDetection", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "original_sequences", OVERALL,
)  # fmt: skip
SHORT = {"loss": "loss", "video_accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class _Column:
    """One column of results: its name, its measure, its cells by method, and its run; the thesis's has none."""

    name: str
    measure: str
    cells: dict[str, Cell]
    run: Run | None = None

    @property
    def of_thesis(self) -> bool:
        return self.run is None


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
                _our_column(run, predictions.frames, measure, shown[measure])
                for run in _matching(runs, model, optimizer)
                if (predictions := run.predicted(of_model["split"].iloc[0]))
            ]
    methods = [
        method for method in METHODS if any(method in column.cells for column in columns if column.of_thesis)
    ]
    rows = tuple((words(method), *_marked(columns, method)) for method in methods)
    shown_runs = list({column.run.name: column.run for column in columns if column.run}.values())
    return _table(name, ("Method", *(column.name for column in columns)), rows, shown_runs)


def _our_column(run: Run, predictions: pd.DataFrame, measure: str, shown: str) -> _Column:
    values = result_by_method(predictions, measure)
    cells = {method: WRITERS[measure](value) for method, value in values.items()}
    return _Column("\n".join(filter(None, (run.name, shown, "ours"))), measure, cells, run)


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
        lists["\n".join((*_names(model, optimizer), "thesis"))] = rows
    shown = []
    for model, optimizer in keys:
        for run in _matching(runs, model, optimizer):
            if predictions := run.predicted("val"):
                lists[f"{run.name}\nours"] = hardest_list(predictions.frames)
                shown.append(run)
    heading = reference.heading(name)
    title = f"Table {name}: {heading.title}"
    notes = heading.notes + _variants(shown)
    return hardest_side_by_side(title, lists, f"table-{name}", notes, warning(shown))


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
    return _table(
        name, ("Model", *(titles[column] for column in wanted)), tuple(rows), _of_models(runs, printed)
    )


def _frozen(name: str, runs: Sequence[Run], sizes: Sequence[ModelSize | None]) -> Table:
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
    return _table(
        name, ("Model", "Frozen", "Trained", "Parameters trained (%)"), tuple(rows), _of_models(runs, printed)
    )


def _table(
    name: str, header: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...], shown: Sequence[Run]
) -> Table:
    heading = reference.heading(name)
    title = f"Table {name}: {heading.title}"
    notes = heading.notes + _variants(shown)
    return Table(title, header, rows, notes, slug=f"table-{name}", warning=warning(shown))


def _variants(runs: Sequence[Run]) -> tuple[str, ...]:
    """Which runs have another network than the thesis's of that name, or another input."""
    return tuple(
        f"{run.name} is not quite the thesis's {run.model}: {run.variant}." for run in runs if run.variant
    )


def _matching(runs: Sequence[Run], model: str, optimizer: str) -> list[Run]:
    return [run for run in runs if run.model == model and optimizer in ("", run.optimizer)]


def _of_models(runs: Sequence[Run], printed: pd.DataFrame) -> list[Run]:
    return [run for run in runs if run.model in set(printed["model"])]


def _names(model: str, optimizer: str) -> tuple[str, ...]:
    return tuple(filter(None, (reference.MODEL_TITLES[model], reference.OPTIMIZER_TITLES[optimizer])))


def _printed(text: object) -> Cell:
    """A cell with what the thesis prints, as a number in the CSV where it is one."""
    value = pd.to_numeric(pd.Series([str(text)]), errors="coerce").iloc[0]
    return words(str(text)) if math.isnan(value) else Cell(str(text), float(value))
