"""What to call the prepared data sets of several runs: folders are often of one name, such as `work`."""

from collections.abc import Sequence

from dfd_train.report.run import Predictions, Run
from ffpp_prep.format.joined import set_names


class DataNames:
    """A name for the data of every run and prediction: the end of the folder's path that tells the sets apart."""

    def __init__(self, runs: Sequence[Run]) -> None:
        places = {place.resolve() for run in runs for place in run.works}
        places |= {place for run in runs for one in run.predictions for place in run.tested_on(one)}
        self._names = dict(zip(places, set_names(places), strict=True))

    def trained(self, run: Run) -> str:
        """Returns the set that a run was trained on; what a published detector's card says."""
        return " + ".join(self._names[place.resolve()] for place in run.works) or run.trained_on

    def tested(self, run: Run, predictions: Predictions) -> str:
        """Returns the set, the split and, where it is not the project's own, the protocol of predictions."""
        protocol = f" ({predictions.protocol})" if predictions.protocol else ""
        tested = " + ".join(self._names[place] for place in run.tested_on(predictions))
        return f"{tested}, {predictions.split}{protocol}"
