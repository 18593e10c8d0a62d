"""Tables of predictions, with what they say about themselves."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dfd_train.runs.files import replacing
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import parsed_json
from ffpp_prep.format.tables import read_metadata, read_table, write_table

log = logging.getLogger(__name__)
_NUMBERS = ("checkpoint_epoch", "frames_per_video")
_AGAIN = "remove it: `dfd-train evaluate` makes it again"


def write_predictions(path: Path, predictions: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Writes a predictions table with `facts` as its key-value metadata, and checksums."""
    table = pa.Table.from_pandas(predictions, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
    with replacing(path) as file:
        write_table(table, Path(file.name))


def read_predictions(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns what `write_predictions` was given, compared with its checksums.

    Raises: UserError naming a file that is not as it was written; OSError where it can't be read.
    """
    table = read_table(path, _AGAIN)
    return table.to_pandas(), _facts(path, table.schema.metadata or {})


def kept_predictions(path: Path, facts: Mapping[str, str]) -> pd.DataFrame | None:
    """Reads the predictions of an earlier command, where they say the same of themselves; None of damaged ones."""
    if not path.is_file():
        return None
    try:
        predictions, said = read_predictions(path)
    except Damaged as damage:
        log.warning("%s is damaged (%s) and is made again", path, damage.reason)
        return None
    return predictions if all(said.get(name) == value for name, value in facts.items()) else None


def read_prediction_facts(path: Path) -> dict[str, str]:
    """Returns the facts alone; raises as `read_predictions`."""
    return _facts(path, read_metadata(path, _AGAIN))


def works_of(facts: Mapping[str, str]) -> tuple[Path, ...]:
    """Returns the prepared sets that a table says it is of; none of tables that don't say it."""
    if "works" in facts:
        return tuple(map(Path, json.loads(facts["works"])))
    return (Path(facts["work"]),) if facts.get("work") else ()


def _facts(path: Path, metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    facts = {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in metadata.items()
        if name != b"pandas"
    }
    for name in _NUMBERS:
        if not re.fullmatch(r"[0-9]{0,9}", facts.get(name, "")):
            raise Damaged(path, f"{name} is {facts[name]!r}", _AGAIN)
    works = parsed_json(facts.get("works", "[]"), path, _AGAIN)
    if not isinstance(works, list) or not all(isinstance(work, str) for work in works):
        raise Damaged(path, f"works is {facts['works']!r}", _AGAIN)
    return facts
