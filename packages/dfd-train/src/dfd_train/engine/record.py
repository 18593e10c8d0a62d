"""What a run says and writes down while it goes: lines for people, events for programs. The main process only."""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

from torch import nn
from tqdm import tqdm

from dfd_train.engine.place import Place
from dfd_train.engine.processes import Processes
from dfd_train.engine.trackers import Trackers
from dfd_train.metrics import Summary
from dfd_train.runs.checkpoint import CheckpointFacts
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.prepared import PreparedSet

log = logging.getLogger("dfd_train")


class Recorder:
    """Lines to the log, events.jsonl, epochs.csv and the trackers; silent but in the main process."""

    def __init__(self, folder: RunFolder, main: bool, trackers: Trackers) -> None:
        self._folder, self._main, self._trackers = folder, main, trackers
        self._said: set[str] = set()

    def say(self, line: str) -> None:
        """Prints a line above the progress bar; skips an empty one."""
        if self._main and line:
            with tqdm.external_write_mode():
                log.info(line)

    def say_once(self, line: str, place: str) -> None:
        """Prints a remark once, the first time."""
        if line not in self._said:
            self._said.add(line)
            self.say(f"{place}: {line}")

    def event(self, event: Mapping[str, Any]) -> None:
        """Adds an event to events.jsonl, for programs."""
        if self._main:
            self._folder.add_event(event)

    def epoch(self, event: Mapping[str, Any]) -> None:
        """Records an epoch's numbers in events.jsonl, epochs.csv and the trackers."""
        self.event(event)
        if self._main:
            self._folder.write_epochs()
            numbers = {name: value for name, value in event.items() if isinstance(value, float)}
            self._trackers.epoch(event["epoch"], numbers)

    def close(self) -> None:
        """Waits until the trackers have written what they were given."""
        self._trackers.close()


class StopRequest:
    """`with StopRequest() as stop`: Ctrl-C and SIGTERM only set `stop.made`, to be answered at a good moment."""

    made = False

    def __enter__(self) -> Self:
        def request(_number: int, _frame: FrameType | None) -> None:
            self.made = True

        self._before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def prediction_facts(
    checkpoint: Path, prepared: PreparedSet, demonstration: bool, frames_per_video: int
) -> dict[str, str]:
    """Returns the key-value metadata of a predictions table."""
    works = [str(own.work.resolve()) for own, _ in prepared.parts]
    return {
        "checkpoint_sha256": sha256_of(checkpoint),
        "work": works[0],
        **({"works": json.dumps(works)} if len(works) > 1 else {}),
        "data_fingerprint": prepared.fingerprint,
        "demonstration": str(demonstration).lower(),
        "frames_per_video": str(frames_per_video),
    }


def begin_event(
    place: Place, facts: CheckpointFacts, network: nn.Module, processes: Processes, resumed: bool
) -> dict[str, Any]:
    """Returns the event with which a run begins, or goes on."""
    return {
        "event": "resume" if resumed else "start",
        "epoch": place.epoch,
        "batch": place.batches_done,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "processes": processes.count,
        "batch_norm": facts.batch_norm,
        "network": facts.origin.network,
        "weights_sha256": facts.origin.weights_sha256,
        "time": time.time(),
    }


def epoch_event(
    epoch: int,
    lr: float,
    trained: Summary,
    validated: Summary,
    of_sets: Mapping[str, Summary],
    seconds: float,
    images: int,
) -> dict[str, Any]:
    """Returns an epoch's numbers as events.jsonl and epochs.csv keep them; `images` were trained in `seconds`.

    Numbers are floats, or trackers don't get them. `of_sets`: those of the validation videos of each of several sets.
    """
    return {
        "event": "epoch",
        "epoch": epoch,
        "lr": lr,
        **_numbers("train", trained),
        **_numbers("val", validated),
        **{
            f"{name}, {of_set}": value
            for of_set, summary in of_sets.items()
            for name, value in _numbers("val", summary).items()
        },
        "seconds": round(seconds, 3),
        "images_per_second": round(images / max(seconds, 1e-9), 2),
    }


def epoch_line(event: Mapping[str, Any], epochs: int, better: bool) -> str:
    """Returns an epoch's event as a line for people."""
    return (
        f"epoch {event['epoch']}/{epochs}  lr {event['lr']:.3g}  "
        f"train loss {event['train_loss']:.4f}  val loss {event['val_loss']:.4f}  "
        f"val balanced accuracy {event['val_balanced_accuracy']:.4f}  val AUC {event['val_auc']:.4f}"
        f"{'  best' if better else ''}  {event['images_per_second']} images/s"
    )


def sets_line(of_sets: Mapping[str, Summary]) -> str:
    """Returns an epoch's validation by prepared set for people; empty where there is one set."""
    return "; ".join(
        f"{name}: val balanced accuracy {one.balanced_accuracy:.4f}, AUC {one.video_auc:.4f}"
        for name, one in of_sets.items()
    )


def finish_event(best_epoch: int) -> dict[str, Any]:
    """Returns the event with which a run ends."""
    return {"event": "finish", "best_epoch": best_epoch, "time": time.time()}


def _numbers(prefix: str, summary: Summary) -> dict[str, float]:
    """Returns an epoch's numbers of one split, as events.jsonl names them."""
    return {
        f"{prefix}_loss": summary.loss,
        f"{prefix}_frame_accuracy": summary.frame_accuracy,
        f"{prefix}_balanced_accuracy": summary.balanced_accuracy,
        f"{prefix}_auc": summary.video_auc,
    }
