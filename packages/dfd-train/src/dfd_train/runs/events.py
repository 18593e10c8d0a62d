"""What a run writes down while it goes, events.jsonl: one JSON object a line, each with its checksum."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pandas as pd

from dfd_train.runs.files import naming, write_atomically
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import parsed_json, with_checksum, without_checksum

log = logging.getLogger(__name__)
Event = Mapping[str, Any]


class _OfEpoch(TypedDict):
    epoch: int


class _GradientFlow(_OfEpoch):
    layers: list[str]
    mean: list[float]
    max: list[float]


_KINDS = {"epoch": _OfEpoch, "gradient_flow": _GradientFlow}
"""what readers rely on"""


def add_event(path: Path, event: Event) -> None:
    """Appends one event as a line of JSON."""
    with naming(path), path.open("ab") as file:
        file.write(json.dumps(with_checksum(dict(event))).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_events(path: Path) -> list[Event]:
    """Returns all events; a last line that a kill cut short is left out, a damaged one is passed over and said to be.

    Nothing that a run computes comes from its events, so that a run whose events are damaged goes on.
    """
    return [event for _, event in _lines(path) if event is not None]


def drop_epochs_after(path: Path, epoch: int) -> None:
    """Removes epochs that the checkpoint does not know yet: a resumed run writes them again."""
    kept = [
        line
        for line, event in _lines(path)
        if event is None or event["event"] not in ("epoch", "gradient_flow") or event["epoch"] <= epoch
    ]
    write_atomically(path, b"".join(line + b"\n" for line in kept))


def epochs_of(events: Sequence[Event]) -> pd.DataFrame:
    """Returns one row an epoch, the columns of its event, ascending; after a resume the later event counts."""
    epochs = pd.DataFrame([event for event in events if event["event"] == "epoch"])
    if not len(epochs):
        return epochs
    return epochs.drop_duplicates("epoch", keep="last").sort_values("epoch").reset_index(drop=True)


def gradients_of(events: Sequence[Event]) -> pd.DataFrame:
    """Returns `epoch`, `layer`, `mean`, `max`: absolute gradients of each layer; empty where they were not recorded."""
    parts = [
        pd.DataFrame(
            {"epoch": event["epoch"], "layer": event["layers"], "mean": event["mean"], "max": event["max"]}
        )
        for event in events
        if event["event"] == "gradient_flow"
    ]
    if not parts:
        return pd.DataFrame(columns=["epoch", "layer", "mean", "max"])
    return pd.concat(parts, ignore_index=True).drop_duplicates(["epoch", "layer"], keep="last")


def begins_with(events: Sequence[Event]) -> str:
    """Returns the pretrained network and the SHA-256 of its weights; empty where a run began without."""
    started = next((event for event in events if event["event"] == "start"), {})
    sha256 = str(started.get("weights_sha256") or "")
    return f"{started.get('network')}, {sha256[:12]}" if sha256 else ""


def how_far(epochs: pd.DataFrame, planned: int) -> str:
    """Returns how far a run came that did not finish; empty where all its epochs are done."""
    done = int(epochs["epoch"].max()) if len(epochs) else 0
    return f"stopped at epoch {done} of {planned}" if done < planned else ""


def _lines(path: Path) -> Iterator[tuple[bytes, Event | None]]:
    """Yields the whole lines of events.jsonl, each with its event, None of one that is not as it was written."""
    if not path.is_file():
        return
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            yield line, _event(line, path)
        except Damaged as damage:
            log.warning(
                "%s line %d is damaged (%s): what it records is missing in epochs.csv and in reports; "
                "training, checkpoints and predictions are not touched by that",
                *(path, number, damage.reason),
            )
            yield line, None


def _event(line: bytes, path: Path) -> Event:
    """Returns what `add_event` was given. Raises: Damaged."""
    event = without_checksum(parsed_json(line, path, ""), path, "")
    kind = event.get("event")
    if not isinstance(kind, str):
        raise Damaged(path, "it is no event", "")
    try:
        msgspec.convert(event, _KINDS.get(kind, dict[str, Any]))
    except msgspec.ValidationError as error:
        raise Damaged(path, str(error), "") from None
    return event
