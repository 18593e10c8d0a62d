"""What to call the prepared data sets of several runs: folders are often of one name, such as `work`."""

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from dfd_train.report.run import Predictions, Run


class DataNames:
    """A name for the data of every run and prediction: the end of the folder's path that tells the sets apart."""

    def __init__(self, runs: Sequence[Run]) -> None:
        places = {run.work.resolve() for run in runs}
        places |= {run.tested_on(one) for run in runs for one in run.predictions}
        self._names = {place: _ending(place, places - {place}) for place in places}

    def trained(self, run: Run) -> str:
        """The set that a run was trained on."""
        return self._names[run.work.resolve()]

    def tested(self, run: Run, predictions: Predictions) -> str:
        """The set, the split and, where it is not the project's own, the protocol of predictions."""
        protocol = f" ({predictions.protocol})" if predictions.protocol else ""
        return f"{self._names[run.tested_on(predictions)]}, {predictions.split}{protocol}"


def _ending(place: Path, others: Iterable[Path]) -> str:
    """The fewest last parts of a path that end none of the others."""
    length = next(n for n in count(1) if all(other.parts[-n:] != place.parts[-n:] for other in others))
    return "/".join(place.parts[-length:])
