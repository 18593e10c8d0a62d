"""What an MP4's index says of its own size, before FFmpeg makes a list of it: 1.6 kB may name 2^32 samples of a byte.

FFmpeg takes an index wherever it finds one, in boxes of most kinds, so that all but content is searched for its names.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

# A table whose samples all have one size, and a fragment's, needn't have a byte a sample; a packed index may be any.
_TABLES = re.compile(rb"\0[\s\S]{3}(stsz|trun|cmov)(?=([\s\S]{0,12}))")
_CONTENT = (b"mdat", b"free", b"skip", b"wide")
_MP4 = (b"ftyp", b"styp", b"moov", b"moof", b"pnot", b"sidx", *_CONTENT)
MOST_INDEX = 256 << 20  # bytes of boxes that aren't content: two days of video have some 50 MB


def refusal(path: Path) -> str:
    """Says why a file's index isn't read; empty where it is, and of files of other kinds."""
    size = path.stat().st_size
    samples = at = index = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = struct.unpack(">I4s", head[:8])
            if not at and kind not in _MP4:
                return ""
            if length == 1 and len(head) == 16:
                (length,) = struct.unpack(">Q", head[8:])
            length = size - at if length == 0 else min(max(length, 8), size - at)
            if kind not in _CONTENT:
                index += length
                if index > MOST_INDEX:
                    return f"an index of more than {MOST_INDEX >> 20} MiB"
                file.seek(at)
                for table in _TABLES.finditer(file.read(length)):
                    if table[1] == b"cmov":
                        return "its index is packed"
                    samples += _samples(table[1], table[2])
            at += length
    return f"an index of {samples:,} samples in a file of {size:,} bytes" if samples > size else ""


def _samples(kind: bytes, fields: bytes) -> int:
    """How many a table names that needn't have a byte for each."""
    numbers = struct.unpack(f">{len(fields) // 4}I", fields[: len(fields) // 4 * 4])
    if kind == b"trun":
        return numbers[1] if len(numbers) > 1 else 0
    return numbers[2] if len(numbers) > 2 and numbers[1] else 0
