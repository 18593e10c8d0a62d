"""What a table's file may take in memory: asked of its footer and its pages' headers, before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ffpp_prep.format.footers import start_of
from ffpp_prep.format.pages import pages
from ffpp_prep.text.units import counted

__all__ = ["MOST_BYTES", "MOST_TIMES", "check_pages", "check_texts", "is_text"]

# What a file may take in memory: so much, or so many times its size. The rows of 119,000 videos take 40 MB.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}
MOST_BYTES, MOST_TIMES = 1 << 28, 200


def check_pages(
    metadata: pq.FileMetaData,
    raw: IO[bytes],
    size: int,
    footer_at: int,
    groups: Sequence[int],
    names: Sequence[str],
) -> None:
    """Compares with the file's size what these columns will take in memory. Raises: ValueError."""
    kinds = [metadata.schema.column(number) for number in range(metadata.num_columns)]
    wanted = [n for n, kind in enumerate(kinds) if kind.path.partition(".")[0] in names]
    told = values = needed = rows = 0
    for group in map(metadata.row_group, groups):
        rows += group.num_rows
        told += group.total_byte_size
        for number in wanted:
            column = group.column(number)
            values += _width(kinds[number]) * max(group.num_rows, column.num_values)
            if not column.num_values:
                continue
            start, length = start_of(column), column.total_compressed_size
            if not 0 < start <= start + length <= footer_at:
                raise ValueError("a column is outside of the file")
            needed += sum(page.most_bytes for page in pages(raw, start, length))
    for each in (told, values, needed):
        _refuse_bomb(rows, each, size)


def check_texts(texts: Sequence[pa.ChunkedArray], rows: int, size: int) -> None:
    """Compares with the file's size what columns read as dictionaries take, written out. Raises: ValueError."""
    if sum(map(_at_most, texts)) > MOST_BYTES:
        _refuse_bomb(rows, sum(map(_written_out, texts)), size)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a column's values are text or bytes of any length, which are read as a dictionary first."""
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _width(kind: pq.ColumnSchema) -> int:
    """Returns what a value takes in memory, without the bytes of a text."""
    return int(kind.length) if kind.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS[kind.physical_type]


def _refuse_bomb(rows: int, needed: int, size: int) -> None:
    """Compares what the rows would take with the file, before memory is asked for."""
    if needed > max(MOST_BYTES, MOST_TIMES * size) or needed < 0:
        raise ValueError(f"{counted(rows, 'row')} of {needed / 1e9:.1f} GB in a file of {size / 1e6:.1f} MB")


def _at_most(column: pa.ChunkedArray) -> int:
    """Returns bytes that `_written_out` can't exceed, at once: as if each row held all of the dictionary."""
    return sum(chunk.dictionary.nbytes * len(chunk) for chunk in column.chunks)


def _written_out(column: pa.ChunkedArray) -> int:
    """Returns bytes of a dictionary column as plain text."""
    total = 0
    for chunk in column.chunks if is_text(column.type.value_type) else ():
        lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
        total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return total
