"""Tables of predictions, with what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dfd_train.runs.files import replacing
from ffpp_prep.format.tables import read_metadata, read_table, write_table

_AGAIN = "remove it: `dfd-train evaluate` makes it again"


def write_predictions(path: Path, predictions: pd.DataFrame, facts: Mapping[str, str]) -> None:
    """Writes a predictions table with `facts` as its key-value metadata, and checksums."""
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
