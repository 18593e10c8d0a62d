"""That validation videos chose the checkpoint, and by how much that flatters them."""

import logging

from dfd_train.errors import UserError
from dfd_train.metrics.selection import optimism
from dfd_train.report.run import Predictions, Run
from dfd_train.report.table import percent
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions
from ffpp_prep.text.units import counted

log = logging.getLogger(__name__)


def chosen_by(run: Run, predictions: Predictions) -> str:
    """Returns a sentence for predictions of the run's own validation split; empty for others."""
    if predictions.split != "val" or predictions.other_data:
        return ""
    epochs = [int(epoch) for epoch in run.epochs["epoch"]] if len(run.epochs) else []
    text = f"These videos chose the checkpoint among {counted(len(epochs), 'epoch')}: its numbers here are too good."
    paths = [path for epoch in epochs if (path := RunFolder(run.path).validation(epoch)).is_file()]
    if len(paths) < len(epochs):
        return f"{text} By how much isn't known: this run kept no scores of each epoch."
    try:
        found = optimism([read_predictions(path)[0] for path in paths])
    except (UserError, OSError, KeyError) as error:
        log.warning("%s: the optimism of choosing the checkpoint can't be told: %s", run.name, error)
        return text
    if found is None:
        return f"{text} Too few epochs or people to say by how much."
    return (
        f"{text} By the bootstrap .632 over epochs, balanced accuracy falls from {percent(found.apparent).text} to "
        f"{percent(found.corrected).text}."
    )
