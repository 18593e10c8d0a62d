"""Whether a run may begin in a folder, or go on from what is there; its last checkpoint, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_train.engine.data import TrainingData
from dfd_train.engine.learner import Learner
from dfd_train.engine.length import check_length
from dfd_train.engine.place import Place
from dfd_train.engine.processes import Processes
from dfd_train.errors import UserError
from dfd_train.optim.schedule import LearningRate
from dfd_train.runs.checkpoint import CheckpointFacts, load_checkpoint, load_weights
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import RunConfig, changed_settings
from ffpp_prep.text.units import counted
from ffpp_prep.work.lock import LOCK, OWNER


@dataclass(frozen=True)
class LastCheckpoint:
    """The checkpoint from which a run goes on."""

    path: Path
    facts: CheckpointFacts
    network: Mapping[str, Any]
    state: Mapping[str, Any]
    version: tuple[int, int]
    """see `last_version`"""

    @property
    def place(self) -> Place:
        """The place in the plan at which the run stood."""
        return Place.from_state(self.state)

    def restore(self, learner: Learner, rate: LearningRate) -> Place:
        """Puts a newly made learner and learning rate where the run stood. Raises: UserError where it doesn't fit."""
        load_weights(learner.detector.network, self.network, self.path, self.facts.config.model.name)
        learner.load_state_dict({**self.state["learner"], "network": self.network})
        rate.load_state_dict(self.state["rate"])
        return self.place


def read_last(folder: RunFolder) -> LastCheckpoint | None:
    """Returns the last checkpoint of a run; None where there is none yet.

    Raises: as `load_checkpoint`; UserError where it is lost: beginning anew would replace the best one.
    """
    version = last_version(folder)
    if version is None:
        # it is saved at the end of each epoch, after the best one and the epoch's event
        if folder.best.is_file() and any(
            event["event"] == "finish" or (event["event"] == "epoch" and event["epoch"] > 1)
            for event in folder.read_events()
        ):
            raise UserError(
                f"{folder.last} is missing: training can't go on, and to begin anew would replace "
                f"{folder.best.name}; put it back from a copy, or choose another --out"
            )
        return None
    facts, content = load_checkpoint(folder.last)
    return LastCheckpoint(folder.last, facts, content["network"], content["state"], version)


def last_version(folder: RunFolder) -> tuple[int, int] | None:
    """Returns time and size of the last checkpoint, which tell whether another run went on; None without one."""
    if not folder.last.is_file():
        return None
    status = folder.last.stat()
    return status.st_mtime_ns, status.st_size


def run_state(
    place: Place, learner: Learner, rate: LearningRate, data: TrainingData, processes: Processes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a last checkpoint holds, so that `LastCheckpoint.restore` goes on bit for bit."""
    state = learner.state_dict()
    network = state.pop("network")
    return network, {
        **place.state_dict(),
        "learner": state,
        "rate": rate.state_dict(),
        "untouched": data.untouched_sha256,
        "places": data.places_sha256,
        "vouched": data.vouched_sha256,
        "processes": processes.count,
    }


def check_folder(folder: RunFolder, config: RunConfig) -> None:
    """Refuses a folder that holds something else, or a run with other settings.

    Raises: UserError naming what differs.
    """
    path = folder.path
    if not path.exists() or (path.is_dir() and all(file.name in (LOCK, OWNER) for file in path.iterdir())):
        return
    if not path.is_dir() or not folder.is_run:
        raise UserError(f"{path} exists and is no run folder: choose another --out")
    changed = changed_settings(folder.read_config(), config)
    if changed:
        raise UserError(
            f"{path} holds a run with other settings ({'; '.join(changed)}): choose another --out"
        )


@contextmanager
def held(folder: RunFolder, config: RunConfig, processes: Processes) -> Iterator[None]:
    """Holds the run's folder for this run alone; its processes agree whether they have it. Raises: UserError."""
    with ExitStack() as stack:
        refused = ""
        if processes.main:
            try:
                stack.enter_context(folder.held())
                check_folder(folder, config)  # another run may have begun since
            except UserError as error:
                refused = str(error)
        if refused := processes.agree(refused):
            raise UserError(refused)
        yield


def check_resumable(last: LastCheckpoint, config: RunConfig, data: TrainingData) -> None:
    """Refuses to go on with other data, other frames left out, or a length that does not fit. Raises: UserError."""
    prepared = data.prepared
    if last.facts.fingerprint != prepared.fingerprint:
        videos = len(prepared.videos)
        raise UserError(
            f"{prepared.places} ({counted(videos, 'video')}) is not the data that this run began with"
        )
    if last.state.get("untouched", "") != data.untouched_sha256:
        raise UserError(
            f"{prepared.places}: fakes/ says of other frames that they are untouched than when this run began"
        )
    if last.state.get("places", "") != data.places_sha256:
        raise UserError(f"{prepared.places}: fakes/ marks other faces as touched than when this run began")
    # checkpoints of before did not keep it
    if last.state.get("vouched", data.vouched_sha256) != data.vouched_sha256:
        raise UserError(
            f"{prepared.places}: landmarks/ has other frames that can be blended than when this run began"
        )
    check_length(last.facts.config, config, last.place, data.plan, data.shortest)
