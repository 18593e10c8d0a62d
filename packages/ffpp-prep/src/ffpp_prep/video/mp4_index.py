"""An MP4's boxes, and what its index says of its own size before FFmpeg lists it: 1.6 kB may name 2^32 samples.

FFmpeg takes an index wherever it finds one, in boxes of most kinds, so that all but content is searched for its names.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# A table whose samples all have one size, and a fragment's, needn't have a byte a sample; a packed index may be any.
_TABLES = re.compile(rb"\0[\s\S]{3}(stsz|trun|cmov)(?=([\s\S]{0,12}))")
_CONTENT = (b"mdat", b"free", b"skip", b"wide")
_MP4 = (b"ftyp", b"styp", b"moov", b"moof", b"pnot", b"sidx", *_CONTENT)
MOST_INDEX = 256 << 20  # bytes of boxes that aren't content: two days of video have some 50 MB
MOST_BOXES = 1 << 18  # a day in fragments of a second has some 170,000; 2 GB may hold 268 million


class Box(NamedTuple):
    """A box at a file's top level: its kind, and where it stands, its head included."""

    kind: bytes
    at: int
    length: int


def boxes(path: Path) -> Iterator[Box]:
    """Yields an MP4's boxes at the top level, none of files of other kinds; a length that can't be is mended."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = struct.unpack(">I4s", head[:8])
            if not at and kind not in _MP4:
                return
            if length == 1 and len(head) == 16:
                (length,) = struct.unpack(">Q", head[8:])
            length = size - at if length == 0 else min(max(length, 8), size - at)
            yield Box(kind, at, length)
            at += length


def content_of(path: Path, box: Box) -> bytes:
    """Returns a box's bytes, its head included."""
    with path.open("rb") as file:
        file.seek(box.at)
        return file.read(box.length)


def refusal(path: Path) -> str:
    """Says why a file's index isn't read; empty where it is, and of files of other kinds."""
    samples = index = 0
    for number, box in enumerate(boxes(path)):
        if number >= MOST_BOXES:
            return f"more than {MOST_BOXES:,} boxes"
        if box.kind in _CONTENT:
            continue
        index += box.length
        if index > MOST_INDEX:
            return f"an index of more than {MOST_INDEX >> 20} MiB"
        for table in _TABLES.finditer(content_of(path, box)):
            if table[1] == b"cmov":
                return "its index is packed"
            samples += _samples(table[1], table[2])
    size = path.stat().st_size
    return f"an index of {samples:,} samples in a file of {size:,} bytes" if samples > size else ""


def movie_box(path: Path) -> bytes:
    """Reads the `moov` box, which describes an MP4's tracks; empty without one. For files without a `refusal`."""
    return next((content_of(path, box) for box in boxes(path) if box.kind == b"moov"), b"")


def _samples(kind: bytes, fields: bytes) -> int:
    """Returns how many a table names that needn't have a byte for each."""
    numbers = struct.unpack(f">{len(fields) // 4}I", fields[: len(fields) // 4 * 4])
    if kind == b"trun":
        return numbers[1] if len(numbers) > 1 else 0
    return numbers[2] if len(numbers) > 2 and numbers[1] else 0
