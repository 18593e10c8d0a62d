"""A run folder, read: what was run, how it went, what it predicted."""

import logging
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from dfd_train.calibration.kept import read_calibration
from dfd_train.calibration.learned import Calibration
from dfd_train.errors import UserError
from dfd_train.metrics.videos import Aggregation
from dfd_train.models.baselines import BASELINES, baseline_of
from dfd_train.report.measures import Measures
from dfd_train.runs.events import begins_with, epochs_of, gradients_of, how_far
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions, works_of
from ffpp_prep.text.printable import printable

log = logging.getLogger(__name__)
SPLIT_ORDER = ("test", "val", "train")
SEVERAL = {
    "drop": "videos of several faces are left out",
    "keep": "videos of several faces by their best face",
    "touched": "videos of several faces by the touched face",
}


@dataclass(frozen=True)
class Predictions:
    """One table of predictions, one row a frame, and what its file says about itself."""

    name: str
    """what was predicted: a split, its protocol, another data set: test, test-deepfakebench, test-on-celeb"""
    frames: pd.DataFrame
    metadata: Mapping[str, str]
    aggregation: Aggregation = "mean"
    """how frames' scores become a video's"""

    @cached_property
    def measures(self) -> Measures:
        """What is measured of `frames`."""
        return Measures(self.frames, self.aggregation)

    @property
    def split(self) -> str:
        """The split's name alone."""
        return self.name.partition("-")[0]

    @property
    def protocol(self) -> str:
        """The benchmark whose protocol this is; empty for the project's own."""
        return self.name.partition("-on-")[0].partition("-")[2]

    @property
    def several_faces(self) -> str:
        """Which face of several was scored, in words; empty where the file does not say it."""
        return SEVERAL.get(self.metadata.get("multiple_faces", ""), "")

    @property
    def other_data(self) -> str:
        """The name of the data set, where it is not the run's own."""
        return self.name.partition("-on-")[2]


@dataclass(frozen=True)
class Run:
    """The contents of a run folder that reports need."""

    path: Path
    config: Mapping[str, Mapping[str, Any]]
    """every setting by section, defaults included"""
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    epochs: pd.DataFrame
    """one row an epoch, the columns of its event, ascending; after a resume the later event counts"""
    gradients: pd.DataFrame
    """epoch, layer, mean, max: absolute gradients of each layer; empty where not recorded"""
    predictions: tuple[Predictions, ...]
    """the test split first"""
    begins_with: str = ""
    """timm's name and tag of pretrained weights and the beginning of their SHA-256; empty where there were none"""
    called: str = ""
    """what it is called beside others, where that is more than the folder's name"""

    @property
    def name(self) -> str:
        """What it is called: the folder's name where nothing else was said."""
        return self.called or printable(self.path.resolve().name)

    @property
    def model(self) -> str:
        """The model's name; a baseline's for timm's name with the tag that the thesis began with."""
        return baseline_of(str(self.config["model"]["name"]))

    @property
    def variant(self) -> str:
        """What makes the network another than the model's name says; empty where nothing does."""
        model = self.config["model"]
        usual_rate = BASELINES[self.model].drop_rate if self.model in BASELINES else None
        parts = [
            f"{name} {value}"
            for name, value in model["arguments"].items()
            if (name, value) != ("drop_rate", usual_rate)
        ]
        usual = 299 if self.model.startswith(("reseption", "xception", "inception")) else 224
        parts += [f"input {model['input_size']}"] if model["input_size"] not in (None, usual) else []
        return ", ".join(parts)

    @property
    def optimizer(self) -> str:
        """The optimizer's name."""
        return str(self.config["optimizer"]["name"])

    @property
    def works(self) -> tuple[Path, ...]:
        """The folders of its prepared data sets; a published detector has none."""
        return RunFolder(self.path).works()

    @property
    def published(self) -> tuple[str, ...]:
        """What must stand beside a published detector's numbers; empty for a run."""
        return RunFolder(self.path).remarks

    @property
    def origin(self) -> str:
        """What is known of where a published detector's weights come from, in words; empty for a run."""
        return RunFolder(self.path).origin

    @property
    def trained_on(self) -> str:
        """The names of the prepared data sets' folders; what a published detector's card says."""
        return RunFolder(self.path).learned_from or " + ".join(work.name for work in self.works)

    @property
    def at_hand(self) -> tuple[Path, ...]:
        """The prepared sets by which it is described: its own, or those that a published detector was tested on."""
        return self.works or (self.tested_on(self.predictions[0]) if self.predictions else ())

    def tested_on(self, predictions: Predictions) -> tuple[Path, ...]:
        """Returns the folders of the prepared sets that were predicted, or the set's name alone if that is all."""
        if said := works_of(predictions.metadata):
            return said
        return (
            (Path(predictions.other_data),)
            if predictions.other_data
            else tuple(w.resolve() for w in self.works)
        )

    @property
    def demonstration(self) -> bool:
        """Whether the training data or anything predicted was sample data."""
        said = [
            self.data.get("demonstration"),
            *(one.metadata.get("demonstration") for one in self.predictions),
        ]
        return any(str(value).lower() == "true" for value in said)

    def predicted(self, name: str) -> Predictions | None:
        """Returns the predictions of that name, for example `test`."""
        return next((one for one in self.predictions if one.name == name), None)

    @property
    def unfinished(self) -> str:
        """How far the run came, where it did not finish; else empty."""
        if self.published:
            return ""
        return how_far(self.epochs, int(self.config["train"]["epochs"]))

    def evaluated(self, predictions: Predictions) -> str:
        """Returns which checkpoint predicted, its epoch, and how far an unfinished run came; empty if unknown."""
        if self.published:
            return ""
        checkpoint = predictions.metadata.get("checkpoint", "best")
        said = predictions.metadata.get("checkpoint_epoch")
        # training keeps the validation of its best epoch, whose number stands in its events
        epoch = int(said) if said else self.best_epoch() if predictions.name == "val" else None
        parts = [f"{checkpoint} checkpoint, epoch {epoch}"] if epoch is not None else []
        if newer := self.newer_best(predictions):
            parts.append(f"the best is now epoch {newer}: evaluate again")
        return "; ".join([*parts, *filter(None, [self.unfinished])])

    def newer_best(self, predictions: Predictions) -> int | None:
        """Returns the best epoch, where the best checkpoint that predicted was of another; else None."""
        said, best = predictions.metadata.get("checkpoint_epoch"), self.best_epoch()
        by_best = predictions.metadata.get("checkpoint", "best") == "best"
        return best if said and by_best and best != int(said) else None

    def calibration(self, predictions: Predictions) -> Calibration | None:
        """Returns how these logits are deployed; None where that is unknown or another checkpoint's."""
        kept = read_calibration(self.path)
        said = predictions.metadata.get("checkpoint_sha256")
        return kept if kept is not None and kept.checkpoint_sha256 == said else None

    def best_epoch(self) -> int | None:
        """Returns the first epoch of the highest validation balanced accuracy: the checkpoint that is kept."""
        if "val_balanced_accuracy" not in self.epochs or self.epochs["val_balanced_accuracy"].isna().all():
            return None
        return int(self.epochs.loc[self.epochs["val_balanced_accuracy"].idxmax(), "epoch"])


def read_run(path: Path) -> Run:
    """Reads a run folder.

    Raises FileNotFoundError where there is none, UserError where a file in it cannot be read.
    """
    config = RunFolder(path).read_config()
    events = RunFolder(path).read_events()
    return Run(
        path=path,
        config=asdict(config),
        environment=RunFolder(path).read_json("environment.json"),
        data=RunFolder(path).read_data(),
        epochs=epochs_of(events),
        gradients=gradients_of(events),
        predictions=_predictions(path),
        begins_with=begins_with(events),
    )


def warn_of_outdated(run: Run) -> None:
    """Says which predictions a better checkpoint has come after, and the command that makes them anew."""
    for one in run.predictions:
        if newer := run.newer_best(one):
            command = ["dfd-train", "evaluate", str(run.path), "--split", one.split]
            command += ["--protocol", one.protocol] if one.protocol else []
            command += ["--data", str(run.tested_on(one)[0])] if one.other_data else []
            log.warning(
                "%s: the predictions of %s are of epoch %s, the best is now epoch %d; run  %s",
                *(run.name, one.name, one.metadata["checkpoint_epoch"], newer, shlex.join(command)),
            )


def _predictions(path: Path) -> tuple[Predictions, ...]:
    files = sorted(path.glob("predictions-*.parquet"))
    if not files and (path / "predictions.parquet").is_file():
        files = [path / "predictions.parquet"]
    found = []
    for file in files:
        frames, metadata = read_predictions(file)
        if lacking := [name for name in ("video_id", "label", "method", "logit") if name not in frames]:
            raise UserError(
                f"{file} holds no predictions: it lacks the column {lacking[0]!r}; remove it, `dfd-train evaluate` "
                "makes it again"
            )
        name = file.stem.removeprefix("predictions-")
        if name == "predictions":
            name = "/".join(sorted(frames["split"].dropna().unique())) or "all"
        found.append(Predictions(name, frames, metadata, RunFolder(path).pooling))
    order = {name: position for position, name in enumerate(SPLIT_ORDER)}
    return tuple(sorted(found, key=lambda one: (order.get(one.name, len(order)), one.name)))
