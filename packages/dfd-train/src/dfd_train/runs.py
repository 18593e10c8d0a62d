"""A run's folder: config.toml, environment.json, data.json, events.jsonl, epochs.csv, checkpoints/, predictions.

Files appear whole or not at all: each is written beside its place, synced and renamed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import tomli_w

from dfd_train.config import RunConfig, build_config, read_config, settings, to_tables
from ffpp_prep.checksums import parsed_json, with_checksum, without_checksum
from ffpp_prep.errors import Damaged
from ffpp_prep.lock import only_run
from ffpp_prep.tables import read_metadata, read_table, write_table

log = logging.getLogger(__name__)

DEMONSTRATION = "demonstration model, not evidence"
_AGAIN = "remove it: `dfd-train evaluate` makes it again"


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run and the small files in it."""

    path: Path

    @property
    def last(self) -> Path:
        """The checkpoint from which the run goes on."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the highest balanced accuracy over validation videos."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def events(self) -> Path:
        """One JSON object a line."""
        return self.path / "events.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep other runs out of it; what a killed one left half-written is removed.

        Raises: UserError naming host and process of a run that is at work there.
        """
        with only_run(self.path, "dfd-train"):
            for path in self.last.parent.glob(".*.pt.*"):
                path.unlink(missing_ok=True)
            yield

    def predictions(self, split: str) -> Path:
        """The predictions of one split."""
        return self.path / f"predictions-{split}.parquet"

    def read_config(self) -> RunConfig:
        """The run's settings. Raises: FileNotFoundError where this is no run folder."""
        config = self.path / "config.toml"
        if not config.is_file():
            raise FileNotFoundError(f"{self.path} is no run folder: it has no config.toml")
        return build_config(read_config(config))

    def write_config(self, config: RunConfig) -> None:
        """Record the settings, all of them, defaults included; TOML has no word for unset ones: a comment."""
        tables = to_tables(config)
        names = (setting.name for setting in settings())
        unset = [name for name in names if name.split(".")[1] not in tables[name.split(".")[0]]]
        comment = f"# unset: {', '.join(unset)}\n\n" if unset else ""
        write_atomically(self.path / "config.toml", (comment + tomli_w.dumps(tables)).encode())

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write one JSON file."""
        write_atomically(self.path / name, (json.dumps(value, indent=2) + "\n").encode())

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Append one line to events.jsonl."""
        with _naming(self.events), self.events.open("ab") as file:
            file.write(_line(event))
            file.flush()
            os.fsync(file.fileno())

    def read_events(self) -> list[dict[str, Any]]:
        """All events; a last line that a kill cut short is left out, a damaged one is passed over and said to be.

        Nothing that a run computes comes from its events, so that a run whose events are damaged goes on.
        """
        return [event for _, event in self._lines() if event is not None]

    def write_epochs(self) -> None:
        """Write epochs.csv: the epochs of events.jsonl, one a row."""
        epochs = pd.DataFrame([event for event in self.read_events() if event["event"] == "epoch"])
        table = epochs.drop(columns="event").to_csv(index=False, lineterminator="\r\n")
        write_atomically(self.path / "epochs.csv", table.encode())

    def drop_epochs_after(self, epoch: int) -> None:
        """Remove epochs that the checkpoint does not know yet: a resumed run writes them again."""
        kept = [
            line
            for line, event in self._lines()
            if event is None or event["event"] not in ("epoch", "gradient_flow") or event["epoch"] <= epoch
        ]
        write_atomically(self.events, b"".join(line + b"\n" for line in kept))

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
        """The whole lines of events.jsonl, each with its event, None of one that is not as it was written."""
        if not self.events.is_file():
            return
        for number, line in enumerate(self.events.read_bytes().split(b"\n")[:-1], start=1):
            try:
                yield line, _event(line, self.events)
            except Damaged as damage:
                log.warning(
                    "%s line %d is damaged (%s): what it records is missing in epochs.csv and in reports; "
                    "training, checkpoints and predictions are not touched by that",
                    *(self.events, number, damage.reason),
                )
                yield line, None


def _line(event: Mapping[str, Any]) -> bytes:
    """A line of events.jsonl, with its checksum."""
    return json.dumps(with_checksum(dict(event))).encode() + b"\n"


def _event(line: bytes, path: Path) -> dict[str, Any]:
    """What `_line` was given. Raises: Damaged."""
    event = without_checksum(parsed_json(line, path, ""), path, "")
    epoch = event.get("epoch", 0)
    if not isinstance(event.get("event"), str) or not isinstance(epoch, int):
        raise Damaged(path, "it is no event", "")
    return event


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name only ever holds the old or the new content, whole."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """`with replacing(path) as file`: a binary file that takes the place of `path` when the block ends well.

    Raises: OSError naming `path` where it can't be written, as on a full disk; what was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # two hosts have equal processes
    try:
        with _naming(path), temporary.open("wb") as file:  # closing writes what is left, and can fail too
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of writing say which file it was; the system names it only where opening fails."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch hides why it couldn't write behind an error of its own
        reason = error.__context__ if isinstance(error, RuntimeError) else error
        if not isinstance(reason, OSError):
            raise
        if reason.errno is not None and reason.filename is None:
            reason.filename = str(path)
        raise reason from None


def write_predictions(path: Path, predictions: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Write a predictions table with `facts` as its key-value metadata, and checksums."""
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
    with replacing(path) as file:
        write_table(table, Path(file.name))


def read_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """What `write_predictions` was given, compared with its checksums.

    Raises: UserError naming a file that is not as it was written; OSError where it can't be read.
    """
    table = read_table(path, _AGAIN)
    return table.to_pandas(), _facts(table.schema.metadata or {})


def read_prediction_facts(path: Path) -> dict[str, str]:
    """The facts alone; raises as `read_predictions`."""
    return _facts(read_metadata(path, _AGAIN))


def _facts(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        name.decode(): value.decode(errors="replace") for name, value in metadata.items() if name != b"pandas"
    }


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_environment(device: str) -> dict[str, Any]:
    """Versions and machine, for environment.json."""
    packages = (
        *("dfd-train", "reseption-models", "torch", "torchvision", "torch-optimizer", "timm"),
        *("numpy", "pandas", "h5py", "imagecodecs", "pyarrow"),
    )
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "device": device,
        "packages": {name: _version(name) for name in packages},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
