"""Runs of one recipe that differ in the seed only: mean and deviation over them."""

import itertools
from collections.abc import Sequence

import pandas as pd

from dfd_train.report.run import Run
from dfd_train.report.table import Cell, Table, count, number, words

NO_RECIPE = (
    *("train.seed", "train.device", "train.threads", "train.channels_last", "train.checkpoint_minutes"),
    *("train.gradient_flow", "train.tensorboard", "train.wandb", "train.mlflow", "data.workers"),
)
"""settings in which runs of one recipe may differ"""


def recipes(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs whose settings are equal but for the seed; each recipe that was run with two seeds or more."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        settings = {
            f"{section}.{key}": value
            for section, fields in run.config.items()
            for key, value in fields.items()
        }
        recipe = repr(sorted((key, repr(value)) for key, value in settings.items() if key not in NO_RECIPE))
        found.setdefault(recipe, []).append(run)
    return [same for same in found.values() if len({run.config["train"]["seed"] for run in same}) > 1]


def seeds_table(runs: Sequence[Run], name: str) -> Table | None:
    """Returns the mean and standard deviation over the seeds of each recipe; None where no recipe has two seeds."""
    measures = {
        "video_auc": "AUC",
        "balanced_accuracy": "Balanced accuracy",
        "log_loss": "Log loss",
        "eer": "EER",
    }
    rows: list[tuple[Cell, ...]] = []
    for same in recipes([run for run in runs if run.predicted(name)]):
        summaries = [one.measures.summary() for run in same if (one := run.predicted(name))]
        cells: list[Cell] = []
        for measure in measures:
            values = pd.Series([getattr(one, measure) for one in summaries], dtype=float)
            cells += [number(float(values.mean()), 4), number(float(values.std(ddof=1)), 4)]
        rows.append((words(", ".join(run.name for run in same)), count(len(same)), *cells))
    if not rows:
        return None
    header = (
        "Runs of one recipe",
        "Runs",
        *itertools.chain(*((text, f"{text}\nsd") for text in measures.values())),
    )
    note = "Mean and standard deviation over runs whose settings are equal but for the seed."
    return Table(f"Seeds of one recipe, {name}", header, tuple(rows), (note,), f"seeds-{name}")
