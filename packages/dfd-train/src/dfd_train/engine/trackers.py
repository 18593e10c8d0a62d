"""Programs that draw many runs' curves side by side: TensorBoard, Weights & Biases, MLflow. None is on by default.

Without an account and a network they write into the run's folder. A tracker that fails never ends a training.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

from dfd_train.errors import UserError, first_line
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import RunConfig, to_tables

log = logging.getLogger("dfd_train")

PROJECT = "dfd-train"
RECORD = "trackers.json"
"""In a run's folder: under which name each tracker knows the run, so that a run that goes on stays one."""


class Tracker(Protocol):
    """A destination of a run's numbers."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Takes in an epoch's numbers."""
        ...

    def close(self) -> None:
        """Waits until all is written."""
        ...


class Trackers:
    """The trackers that a run asks for, opened at its first epoch.

    Raises:
        UserError: the package of one isn't installed.
    """

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self._config, self._folder = config, folder
        self._wanted = [name for name in PACKAGES if getattr(config.train, name)]
        self._open: dict[str, Tracker] = {}
        for name in self._wanted:
            if any(find_spec(package) is None for package in PACKAGES[name]):
                raise UserError(f"train.{name} needs its package: pip install 'dfd-train[{name}]'")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Hands an epoch's numbers to each."""
        for name in self._wanted:
            self._guarded(name, partial(self._hand, name, epoch, numbers))

    def close(self) -> None:
        """Closes each tracker."""
        for name, tracker in self._open.items():
            self._guarded(name, tracker.close)

    def _hand(self, name: str, epoch: int, numbers: Mapping[str, float]) -> None:
        if name not in self._open:
            self._open[name] = OPENED[name](self._config, self._folder, epoch)
        self._open[name].epoch(epoch, numbers)

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever a service or its program makes of the world
            self._wanted = [other for other in self._wanted if other != name]
            log.warning("train.%s: %s; training goes on without it", name, first_line(error))


class TensorBoard:
    """Event files below RUN/tensorboard."""

    def __init__(self, config: RunConfig, folder: RunFolder, epoch: int) -> None:
        # torch's own writer would load TensorFlow where it is installed
        from tensorboardX import SummaryWriter

        place = str(folder.path / "tensorboard")
        # hides what a process wrote that was lost
        self._writer: Any = SummaryWriter(place, purge_step=epoch, filename_suffix=f".{os.getpid()}")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Takes in an epoch's numbers."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Waits until its thread has written what it was given."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases, below RUN/wandb until `wandb sync`, unless WANDB_MODE says otherwise."""

    def __init__(self, config: RunConfig, folder: RunFolder, epoch: int) -> None:
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        identity = _identity(folder, "wandb", lambda: secrets.token_hex(4))
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=identity,
            name=folder.path.name,
            dir=str(folder.path),
            mode=mode,
            resume="allow",
            config=to_tables(config),
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Takes in an epoch's numbers."""
        self._run.log(dict(numbers), step=epoch)

    def close(self) -> None:
        """Ends the run; W&B's own process writes, or sends, the rest by itself."""
        self._run.finish()


class MLflow:
    """A run of MLflow, in RUN/mlflow.db unless MLFLOW_TRACKING_URI names a server."""

    def __init__(self, config: RunConfig, folder: RunFolder, epoch: int) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        place = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{(folder.path / 'mlflow.db').resolve()}")
        self._client: Any = MlflowClient(tracking_uri=place)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)

        def create() -> str:
            created: str = self._client.create_run(experiment, run_name=folder.path.name).info.run_id
            told = [
                Param(f"{section}.{field}", str(value)[:6000])
                for section, table in to_tables(config).items()
                for field, value in table.items()
            ]
            for begin in range(0, len(told), 100):  # as many as a server takes at once
                self._client.log_batch(created, params=told[begin : begin + 100])
            return created

        self._run = _identity(folder, "mlflow", create)
        self._client.update_run(self._run, status="RUNNING")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Takes in an epoch's numbers."""
        for name, value in numbers.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def close(self) -> None:
        """Says that the run isn't running."""
        self._client.set_terminated(self._run)


PACKAGES = {
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
}
OPENED: dict[str, Callable[[RunConfig, RunFolder, int], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def _identity(folder: RunFolder, name: str, create: Callable[[], str]) -> str:
    """Returns the name by which a tracker knows the run: the one that it had before, or a new one."""
    known = folder.read_json(RECORD)
    if name not in known:
        known = {**known, name: create()}
        folder.write_json(RECORD, known)
    return str(known[name])
