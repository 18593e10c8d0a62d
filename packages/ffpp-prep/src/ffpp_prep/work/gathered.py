"""The rows of many committed parts once more in one file, since a thousand files take seconds to open.

FOLDER/gathered.parquet     the rows of the first parts, each with its part; as metadata how many parts, and their stamp

The parts are what counts. Where one of them has another size or time than when they were gathered, or is gone, or this
file can't be read, the parts themselves are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_other_version
from ffpp_prep.format.tables import read_metadata, read_table, write_table

__all__ = ["MANY", "PART", "gather", "read_gathered", "stamp_of"]

GATHERED = "gathered.parquet"
PART = pa.field("part", pa.string())
MANY = 64  # parts that are gathered once there are so many more
_PARTS, _STAMP = b"parts", b"stamp"


def read_gathered(commits: Sequence[Path], schema: pa.Schema) -> tuple[pa.Table, int]:
    """Returns rows with these columns and PART of the first of these parts, and how many parts these are.

    Args:
        commits: all parts' files, oldest first.
        schema: of the columns that are wanted.
    """
    wanted = schema.append(PART)
    try:
        path = commits[0].parent / GATHERED
        if path.exists():
            metadata = read_metadata(path, "")
            refuse_other_version(path, metadata)
            parts = int(metadata[_PARTS])
            if metadata[_STAMP].decode() == stamp_of(commits[:parts]):
                return read_table(path, "", wanted).replace_schema_metadata(None), parts
    except (UserError, OSError, KeyError, ValueError, IndexError):
        pass
    return wanted.empty_table(), 0


def gather(commits: Sequence[Path], stamp: str, table: pa.Table) -> None:
    """Writes the rows of all these parts; only for the run that holds the lock.

    Args:
        commits: the parts' files, oldest first.
        stamp: theirs, from before they were read.
        table: their rows, with PART.
    """
    metadata = {"format_version": str(FORMAT_VERSION), _PARTS: str(len(commits)), _STAMP: stamp}
    with whole_file(commits[0].parent / GATHERED) as temporary:
        write_table(table.replace_schema_metadata(metadata), temporary)


def stamp_of(commits: Sequence[Path]) -> str:
    """Returns what changes with the name, size or time of any of these files. Raises: OSError, one is gone."""
    found = ((path.name, path.stat()) for path in commits)
    text = "\n".join(f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in found)
    return hashlib.sha256(text.encode()).hexdigest()
