"""A run's folder: config.toml, environment.json, data.json, events.jsonl, epochs.csv, checkpoints/, predictions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pandas as pd
import tomli_w

from dfd_train.adopt.folder import WEIGHTS_FILE, is_adopted, read_folder_card, settings_of
from dfd_train.metrics.videos import Pooling
from dfd_train.runs import events
from dfd_train.runs.events import Event
from dfd_train.runs.files import write_atomically
from dfd_train.runs.seeds import runs_of_seeds
from dfd_train.settings.config import RunConfig, build_config, settings, to_tables
from dfd_train.settings.files import read_config, sealed
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json, with_checksum
from ffpp_prep.format.files import sweep
from ffpp_prep.text.spreadsheet import cell
from ffpp_prep.work.lock import only_run

DEMONSTRATION = "demonstration model, not evidence"
SPARED_S = 60.0  # in which whoever writes a file into a run's folder is done with it
_REMEDY = "it is a record: take it from a copy of the run, or remove it and do without"


class _Place(TypedDict, total=False):
    work: str | None
    work_beside: str | None


class _Split(TypedDict, total=False):
    real: int
    fake: int
    methods: dict[str, int]


class _DataRecord(_Place, total=False):
    """What others read of data.json; earlier versions lack some of it."""

    sets: list[_Place]
    datasets: list[str] | None
    fingerprint: str
    detector: str
    splits: dict[str, _Split]


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run and the small files in it."""

    path: Path

    @property
    def is_run(self) -> bool:
        """Whether a run was begun there."""
        return (self.path / "config.toml").is_file()

    @property
    def is_adopted(self) -> bool:
        """Whether it is a published detector's, of `dfd-train adopt`: without training, epochs and data of its own."""
        return is_adopted(self.path)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must stand beside a published detector's numbers, its licence first; empty for a run."""
        return read_folder_card(self.path)[0].sentences() if self.is_adopted else ()

    @property
    def origin(self) -> str:
        """What is known of where a published detector's weights come from, in words; empty for a run."""
        return read_folder_card(self.path)[0].origin if self.is_adopted else ""

    @property
    def learned_from(self) -> str:
        """On which data sets a published detector was trained, in words; empty for a run."""
        card = read_folder_card(self.path)[0] if self.is_adopted else None
        return "" if card is None else ", ".join(card.trained_on) or "not known"

    @property
    def pooling(self) -> Pooling:
        """How its frames' scores become a video's: a published detector's as its authors have it, a run's mean."""
        return read_folder_card(self.path)[0].video.pool if self.is_adopted else "mean"

    @property
    def last(self) -> Path:
        """The checkpoint from which the run goes on."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the highest balanced accuracy over validation videos; a published detector's weights."""
        return self.path / WEIGHTS_FILE if self.is_adopted else self.path / "checkpoints" / "best.pt"

    @property
    def events(self) -> Path:
        """One JSON object a line."""
        return self.path / "events.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder and keeps other runs out of it; what a killed one left half-written is removed.

        Raises: UserError naming host and process of a run that is at work there.
        """
        with only_run(self.path, "dfd-train", SPARED_S):  # an evaluation may be writing its predictions
            sweep(self.last.parent)
            for path in self.last.parent.glob(".*.pt.*"):  # as earlier versions named them
                path.unlink(missing_ok=True)
            yield

    def predictions(self, split: str) -> Path:
        """Returns the predictions of one split."""
        return self.path / f"predictions-{split}.parquet"

    def validation(self, epoch: int) -> Path:
        """Returns the validation videos' scores after an epoch, one row a video."""
        return self.path / "validations" / f"epoch-{epoch:04d}.parquet"

    def work(self) -> Path:
        """Returns the prepared set of the run, of several the first."""
        return self.works()[0]

    def works(self) -> tuple[Path, ...]:
        """Returns the prepared sets of the run, wherever the command is given; none of a published detector.

        First where each was, then as it lay beside the run, which both may have been moved; a path as it was typed
        counts from the folder where the run was begun, and is the last resort.
        """
        if self.is_adopted:
            return ()
        record: Mapping[str, Any] = {}
        with suppress(OSError, Damaged):  # then the path as it was typed is what is known
            record = self.read_data()
        typed = self.read_config().data.works
        told = [*(record.get("sets") or [record]), *({} for _ in typed)]
        return tuple(self._place(Path(work), one) for work, one in zip(typed, told, strict=False))

    def _place(self, typed: Path, record: Mapping[str, Any]) -> Path:
        """Finds a prepared set that was typed so and recorded so."""
        beside = record.get("work_beside")
        told = [Path(str(record["work"]))] if record.get("work") else []
        told += [Path(os.path.normpath(self.path.resolve() / str(beside)))] if beside else []
        return next(
            (work for work in (*told, typed) if (work / "videos.parquet").is_file()), (*told, typed)[0]
        )

    def read_config(self) -> RunConfig:
        """Returns the run's settings. Raises: FileNotFoundError where this is no run folder."""
        if self.is_adopted:
            return settings_of(self.path)
        config = self.path / "config.toml"
        if not config.is_file():
            runs = ", ".join(run.name for run in runs_of_seeds(self.path))
            within = f"; it holds the runs {runs}" if runs else ""
            if (self.path / "model.safetensors").is_file():
                within = "; weights alone are scored by `dfd-train predict`, with --labelled WORK on a prepared set"
            raise FileNotFoundError(f"{self.path} is no run folder: it has no config.toml{within}")
        tables = read_config(config)
        if not tables:  # all defaults are written too: a full disk or a copy that broke off left it so
            raise Damaged(config, "it is empty", "take it from a copy of the run")
        return build_config(tables)

    def write_config(self, config: RunConfig) -> None:
        """Records the settings, all of them, defaults included; TOML has no word for unset ones: a comment."""
        tables = to_tables(config)
        names = (setting.name for setting in settings())
        unset = [name for name in names if name.split(".")[1] not in tables[name.split(".")[0]]]
        comment = f"# unset: {', '.join(unset)}\n\n" if unset else "\n"
        write_atomically(self.path / "config.toml", sealed(comment + tomli_w.dumps(tables)))

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes one JSON file, with its checksum."""
        write_atomically(self.path / name, (json.dumps(with_checksum(dict(value)), indent=2) + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any]:
        """Returns what `write_json` was given; empty where there is no such file.

        Raises: UserError naming a file that is not as it was written; OSError where it can't be read.
        """
        path = self.path / name
        return read_checked_json(path, _REMEDY) if path.is_file() else {}

    def read_data(self) -> dict[str, Any]:
        """Returns data.json, what the run learned from; raises as `read_json`, and where a value is of another kind."""
        record = self.read_json("data.json")
        try:
            msgspec.convert(record, _DataRecord)
        except msgspec.ValidationError as error:
            raise Damaged(self.path / "data.json", str(error), _REMEDY) from None
        return record

    def add_event(self, event: Event) -> None:
        """Appends one line to events.jsonl."""
        events.add_event(self.events, event)

    def read_events(self) -> list[Event]:
        """Returns all whole events of events.jsonl, see `events.read_events`."""
        return events.read_events(self.events)

    def drop_epochs_after(self, epoch: int) -> None:
        """Removes epochs that the checkpoint does not know yet: a resumed run writes them again."""
        events.drop_epochs_after(self.events, epoch)

    def write_epochs(self) -> None:
        """Writes epochs.csv: the epochs of events.jsonl, one a row."""
        epochs = pd.DataFrame([event for event in self.read_events() if event["event"] == "epoch"])
        safe = epochs.drop(columns="event").map(cell).rename(columns=cell)
        table = safe.to_csv(index=False, lineterminator="\r\n")
        write_atomically(self.path / "epochs.csv", table.encode())

    def unfinished(self) -> str:
        """Returns how far the run came that has not finished; empty where all its epochs are done."""
        if self.is_adopted:
            return ""
        epochs = events.epochs_of(self.read_events())
        return events.how_far(epochs, self.read_config().train.epochs)
