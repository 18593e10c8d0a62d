"""Tables over several runs: results side by side, hardest videos with overlaps marked, cost, train x test."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

import pandas as pd

from dfd_train.data.overlap import identity_overlap
from dfd_train.report.differences import BEST, OVERALL, marks_by_test, of_method
from dfd_train.report.names import DataNames
from dfd_train.report.others import Judged
from dfd_train.report.run import Predictions, Run
from dfd_train.report.sizes import THESIS_MEGABYTE, ModelSize
from dfd_train.report.table import Cell, Mark, Table, between, count, number, percent, words
from dfd_train.report.tables import DEMONSTRATION, hardest_videos, methods_in
from dfd_train.report.works import Works
from ffpp_prep.text.units import counted

WRITERS: dict[str, Callable[..., Cell]] = {
    "loss": lambda value, mark="": number(value, mark=mark),
    "video_accuracy": percent,
    "balanced_accuracy": percent,
    "video_auc": lambda value, mark="": number(value, 4, mark),
}
TITLES = {
    "loss": "Average loss",
    "video_accuracy": "Video accuracy",
    "video_auc": "Video AUC against the originals",
}


def result_by_method(
    predictions: Predictions, measure: str, frames: pd.DataFrame | None = None
) -> dict[str, float]:
    """Returns one measure of every method and overall; for the AUC a method stands against its originals.

    `frames`: these rows of the predictions only.
    """
    frames = predictions.frames if frames is None else frames
    return {
        method: float(getattr(predictions.measures.summary(of_method(frames, method, measure)), measure))
        for method in (*methods_in(frames), OVERALL)
    }


def results_table(runs: Sequence[Judged], name: str, measure: str) -> Table:
    """Returns one measure by method, a column a run (Tables 5.3, 5.4, 7.2, 7.3, 7.6).

    Marked is what a paired test shows to be better than all others of its row. `name` is that of the
    predictions, `measure` a key of `TITLES`.
    """
    columns = [(run, result_by_method(one, measure)) for run in runs if (one := run.predicted(name))]
    videos = [one.measures.judged() for run, _ in columns if (one := run.predicted(name))]
    methods = [method for method in _union(values for _, values in columns) if method != OVERALL]
    found = {
        method: [values.get(method, math.nan) for _, values in columns] for method in [*methods, OVERALL]
    }
    marks = marks_by_test(found, videos, measure)
    rows = tuple(
        (words(method), *(WRITERS[measure](*one) for one in zip(values, marks[method], strict=True)))
        for method, values in found.items()
    )
    title = f"{TITLES[measure]} by method, {name}"
    header = ("Method", *(run.name for run, _ in columns))
    slug = f"{measure.replace('_', '-')}-{name}"
    notes = evaluated_notes(runs, name)
    return Table(title, header, rows, notes, slug, warning(run for run, _ in columns), BEST)


def scores_table(runs: Sequence[Judged], name: str) -> Table:
    """Returns the whole set's measures, a row a run, with intervals for balanced accuracy and AUC (Table 7.7)."""
    rows: list[tuple[Cell, ...]] = []
    evidence: list[tuple[str, str]] = []
    for run in runs:
        predictions = run.predicted(name)
        if predictions is None:
            continue
        summary, ends = predictions.measures.summary(), predictions.measures.intervals()
        low, high = ends.low, ends.high
        evidence.append((run.name, f": {ends.evidence.sentence()}"))
        rows.append(
            (
                words(run.name),
                words(run.model),
                count(summary.videos),
                percent(summary.balanced_accuracy),
                between(low.balanced_accuracy, high.balanced_accuracy, percent),
                number(summary.video_auc, 4),
                between(low.video_auc, high.video_auc, WRITERS["video_auc"]),
                percent(summary.frame_accuracy),
                percent(summary.eer),
                number(summary.log_loss),
                number(summary.ece, 4),
            )
        )
    header = (
        "Run", "Model", "Videos", "Balanced\naccuracy", "95 %\ninterval", "AUC", "95 %\ninterval", "Frame\naccuracy",
        "Equal\nerror rate", "Log\nloss", "Calibration\nerror",
    )  # fmt: skip
    title = f"Measures over all videos, {name}"
    notes = (*evaluated_notes(runs, name), *merged_notes(evidence))
    return Table(title, header, tuple(rows), notes, f"measures-{name}", warning(_having(runs, name)))


def hardest_table(runs: Sequence[Judged], name: str, hardest: int = 10) -> Table:
    """Returns the hardest videos of each run side by side, repeated ones marked (Tables 5.5, 5.6, 7.4)."""
    lists = {run.name: hardest_list(one.frames, hardest) for run in runs if (one := run.predicted(name))}
    title = f"The {counted(max(map(len, lists.values()), default=0), 'hardest video')}, {name}"
    return hardest_side_by_side(title, lists, f"hardest-{name}", warning=warning(_having(runs, name)))


HardestList = Sequence[tuple[str, str, str]]
"""method, file and loss as text, hardest first"""


def hardest_list(predictions: pd.DataFrame, hardest: int = 10) -> HardestList:
    """Returns the hardest videos of one table of predictions."""
    return [
        (str(video.method), PurePosixPath(video.video_id).name, f"{video.loss:.2f}")
        for video in hardest_videos(predictions, hardest).itertuples()
    ]


def hardest_side_by_side(
    title: str, lists: dict[str, HardestList], slug: str, notes: tuple[str, ...] = (), warning: str = ""
) -> Table:
    """Lists of hardest videos as columns of method, file and loss, overlaps marked."""
    seen = Counter(video for one in lists.values() for video in {(method, file) for method, file, _ in one})
    rows = []
    for rank in range(max(map(len, lists.values()), default=0)):
        cells = [count(rank + 1)]
        for one in lists.values():
            if rank >= len(one):
                cells += [words(""), words(""), words("")]
                continue
            method, file, loss = one[rank]
            mark: Mark = "shared" if seen[method, file] > 1 else ""
            cells += [words(method, mark), words(file, mark), Cell(loss, float(loss))]
        rows.append(tuple(cells))
    header = ["Rank"]
    for column in lists:
        header += [f"{column}\nmethod", f"{column}\nfile", f"{column}\nloss"]
    return Table(title, tuple(header), tuple(rows), notes, slug, warning)


def matrix_table(runs: Sequence[Run], measure: str) -> Table:
    """Returns the table of train x test: a row a run, a column a data set and split that any run was evaluated on."""
    names = DataNames(runs)
    columns = [
        {names.tested(run, one): getattr(one.measures.summary(), measure) for one in run.predictions}
        for run in runs
    ]
    sets = _union(columns)
    rows = []
    for run, values in zip(runs, columns, strict=True):
        left_out = ", ".join(run.config["data"]["exclude_methods"])
        trained = names.trained(run) + (f" without {left_out}" if left_out else "")
        rows.append(
            (
                words(run.name),
                words(trained),
                *(WRITERS[measure](values.get(name, math.nan)) for name in sets),
            )
        )
    title = "Train × test, " + {"video_auc": "video AUC", "balanced_accuracy": "balanced accuracy"}[measure]
    header = ("Run", "Trained on", *sets)
    return Table(
        title, header, tuple(rows), slug=f"matrix-{measure.replace('_', '-')}", warning=warning(runs)
    )


def overlap_table(runs: Sequence[Run], works: Works | None = None) -> Table:
    """Returns the identities that each run was trained on and that are among the videos it was tested on.

    Needs the prepared data sets; a row whose set cannot be opened, or is not named in the predictions, has
    dashes. `works`: those that are open already.
    """
    names, works = DataNames(runs), works or Works()
    rows = []
    for run in runs:
        trained = works.open(run.works) if run.works else None
        for one in run.predictions:
            tested = works.open(run.tested_on(one))
            cells = (words(""), words(""), words(""))
            if trained is not None and tested is not None:
                used = trained.videos[trained.videos["split"] == "train"]
                left_out = used["method"].isin(run.config["data"]["exclude_methods"])
                scored = tested.videos[tested.videos["video_id"].isin(one.frames["video_id"])]
                overlap = identity_overlap(used[~left_out], scored)
                cells = (count(len(overlap.identities)), count(overlap.videos), count(overlap.tested))
            rows.append((words(run.name), words(names.tested(run, one)), *cells))
    header = ("Run", "Tested on", "Shared identities", "Videos showing one", "Videos tested")
    return Table(
        "Identities in training and in test", header, tuple(rows), slug="overlap", warning=warning(runs)
    )


def sizes_table(runs: Sequence[Run], sizes: Sequence[ModelSize | None]) -> Table:
    """Returns what each run's network costs (Tables 5.1, 5.2, 7.1); dashes where a run has no checkpoint."""
    rows = []
    for run, size in zip(runs, sizes, strict=True):
        numbers = size_cells(size)
        trained = number(size.trained / 1e6, 2) if size else words("")
        level = str(run.config["model"]["train_level"])
        begins = words(run.begins_with)
        rows.append((words(run.name), words(run.model), *numbers, trained, words(level), begins))
    header = (
        *("Run", "Model", "Input", "MACs (G)", "Parameters (M)", "Size (MB)", "Trained (M)", "Level"),
        "Begins with",
    )
    notes = (
        "Multiply-adds of convolutions and linear layers on one image; MB are the thesis's 1,024,000 bytes.",
        "Begins with: pretrained weights by timm's name and tag, and the beginning of their SHA-256.",
    )
    return Table("Models", header, tuple(rows), notes, slug="models", warning=warning(runs))


def size_cells(size: ModelSize | None) -> tuple[Cell, Cell, Cell, Cell]:
    """Returns input, multiply-adds, parameters and size in the thesis's units."""
    if size is None:
        return words(""), words(""), words(""), words("")
    return (
        words(f"{size.input_size}x{size.input_size}"),
        number(size.macs / 1e9, 2),
        number(size.parameters / 1e6, 2),
        number(size.stored_bytes / THESIS_MEGABYTE, 1),
    )


def warning(runs: Iterable[Judged]) -> str:
    """Says which of the runs are demonstrations; empty where none is."""
    shown = [run.name for run in runs if run.demonstration]
    return f"{', '.join(shown)}: {DEMONSTRATION}." if shown else ""


def evaluated_notes(runs: Iterable[Judged], name: str) -> tuple[str, ...]:
    """Says which checkpoint of each run made the predictions of that name, and which runs did not finish."""
    found = [(run, run.evaluated(one)) for run in runs if (one := run.predicted(name))]
    return merged_notes((run.name, f": {evaluated}.") for run, evaluated in found if evaluated)


def merged_notes(notes: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Merges notes, given as (run, what follows its name): one that holds for several runs names them all."""
    names: dict[str, list[str]] = {}
    for run, text in notes:
        names.setdefault(text, []).append(run)
    return tuple(", ".join(runs) + text for text, runs in names.items())


def _having(runs: Sequence[Judged], name: str) -> list[Judged]:
    return [run for run in runs if run.predicted(name)]


def _union(groups: Iterable[Iterable[str]]) -> Sequence[str]:
    """Returns what stands in any of the groups, in order of first appearance."""
    return list(dict.fromkeys(name for group in groups for name in group))
