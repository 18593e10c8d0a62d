"""The numbers of each prepared set, where predictions are of several."""

from dfd_train.report.measures import Measures
from dfd_train.report.table import Cell, Table, between, count, number, percent, words
from dfd_train.report.tables import warning


def sets_table(measures: Measures, demonstration: bool = False) -> Table | None:
    """Makes a row a set, with intervals; None where all predictions are of one."""
    if "set" not in measures.frames:
        return None
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for name, own in measures.frames.groupby("set", sort=False):
        summary, ends = measures.summary(own), measures.intervals(own)
        low, high = ends.low, ends.high
        rows.append(
            (
                words(str(name)),
                count(summary.videos),
                number(summary.video_auc, 4),
                between(low.video_auc, high.video_auc, lambda value: number(value, 4)),
                percent(summary.balanced_accuracy),
                between(low.balanced_accuracy, high.balanced_accuracy, percent),
                number(summary.frame_auc, 4),
                percent(summary.eer),
            )
        )
        notes.append(f"{name}: {ends.evidence.sentence()}")
    header = (
        "Set", "Videos", "AUC", "95 %\ninterval", "Balanced\naccuracy", "95 %\ninterval", "Frame\nAUC",
        "Equal\nerror rate",
    )  # fmt: skip
    return Table("Each prepared set", header, tuple(rows), tuple(notes), "sets", warning(demonstration))
