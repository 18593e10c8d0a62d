"""The checksums in a table's footer: one of the footer itself, one of each row group.

Parquet's own checksums of pages leave out headers and the footer. So the footer's metadata `checksums` is `crc32:` and
eight hexadecimal digits for the footer (with these digits 0), and eight for the bytes of each row group, the first from
the file's first byte on, the last up to the footer. One video's rows are checked without the others'.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq

from ffpp_prep.format.files import crc32

__all__ = [
    "DIGITS",
    "KEY",
    "bounds_of_groups",
    "digits_of",
    "lost_checksums",
    "piece",
    "read_footer",
    "recorded_checksums",
    "room_for_checksums",
    "seal",
    "start_of",
]

KEY = b"checksums"
DIGITS = 8
_NONE = b"crc32:"  # and 0s: what another program copies that reads such a table and writes it again
_RECORDED = re.compile(rb"crc32:([0-9a-f]{16,})")


def room_for_checksums(groups: int) -> str:
    """Returns what stands in a table's metadata under KEY until `seal` has written its checksums."""
    return "crc32:" + "0" * DIGITS * (groups + 1)


def seal(path: Path) -> None:
    """Writes the checksums of a table's file into the room that it has for them."""
    with path.open("r+b") as file:
        start, footer = read_footer(file)
        found = _RECORDED.search(footer)
        assert found is not None
        bounds = bounds_of_groups(pq.read_metadata(path), start)
        of_groups = "".join(digits_of(piece(file, *each)) for each in pairwise(bounds))
        at = found.start(1)
        room = footer[:at] + b"0" * DIGITS + of_groups.encode() + footer[at + DIGITS + len(of_groups) :]
        file.seek(start + at)
        file.write((digits_of(room) + of_groups).encode())


def read_footer(file: IO[bytes]) -> tuple[int, bytes]:
    """Returns where the footer begins, and its bytes to the end of the file. Raises: ValueError, it is cut short."""
    size = file.seek(0, 2)
    tail = piece(file, max(0, size - 8), size)
    length = int.from_bytes(tail[:4], "little") + 8
    if len(tail) < 8 or tail[4:] != b"PAR1" or length + 4 > size:
        raise ValueError("its end is missing")
    return size - length, piece(file, size - length, size)


def recorded_checksums(footer: bytes) -> tuple[str, ...]:
    """Returns those of the row groups; none where none were recorded. Raises: ValueError, the footer isn't its own."""
    found = _RECORDED.search(footer)
    if found is None:
        return ()
    digits = found[1].decode()
    if not digits.strip("0"):
        return ()
    at = found.start(1)
    if digits_of(footer[:at] + b"0" * DIGITS + footer[at + DIGITS :]) != digits[:DIGITS]:
        raise ValueError("its footer doesn't match its checksum")
    return tuple(digits[i : i + DIGITS] for i in range(DIGITS, len(digits), DIGITS))


def lost_checksums(metadata: pq.FileMetaData) -> bool:
    """Returns whether a table says that it has checksums and none were read."""
    found: bytes = (metadata.metadata or {}).get(KEY, _NONE)
    return found.replace(b"0", b"") != _NONE


def bounds_of_groups(metadata: pq.FileMetaData, footer_at: int) -> list[int]:
    """Returns where the row groups begin, and where the last one ends."""
    starts = [start_of(metadata.row_group(i).column(0)) for i in range(1, metadata.num_row_groups)]
    return [0, *starts, footer_at]


def start_of(column: pq.ColumnChunkMetaData) -> int:
    """Returns a column's first byte in the file."""
    return int(column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset)


def piece(file: IO[bytes], start: int, stop: int) -> bytes:
    """Returns the bytes between two places. Raises: ValueError where the file ends before."""
    file.seek(start)
    data = file.read(max(0, stop - start))
    if len(data) < stop - start:
        raise ValueError("it is cut short")
    return data


def digits_of(data: bytes) -> str:
    """Returns the CRC-32 of bytes as it is recorded."""
    return f"{crc32(data):0{DIGITS}x}"
