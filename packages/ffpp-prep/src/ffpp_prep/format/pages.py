"""What the pages of a Parquet file say of their sizes, read from their headers before memory is asked for.

A reader takes as much as a page's header says, which the footer may not know: a header is a struct in Thrift's compact
protocol, of which the two sizes, the number of values and their encoding are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

__all__ = ["DELTA_BYTE_ARRAY", "MOST_HEADER", "Page", "pages"]

DELTA_BYTE_ARRAY = 7  # each text is the beginning of the one before it, and what follows
MOST_HEADER = 1 << 16
_SIZE, _STORED, _OF_VALUES = 2, 3, (5, 7, 8)  # fields of PageHeader
_DEEPEST = 8


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        size: bytes once unpacked.
        values: how many it has.
        encoding: of these, by Parquet's number.
    """

    size: int
    values: int
    encoding: int

    @property
    def most_bytes(self) -> int:
        """What its values may take in memory."""
        return self.size * max(1, self.values) if self.encoding == DELTA_BYTE_ARRAY else self.size


def pages(file: IO[bytes], start: int, length: int) -> Iterator[Page]:
    """Yields the pages that stand one after another in `length` bytes from `start` on.

    Raises:
        ValueError: other things than whole pages stand there.
    """
    at, end = start, start + length
    while at < end:
        file.seek(at)
        try:
            fields, behind = _struct(file.read(min(MOST_HEADER, end - at)), 0)
            size, stored = int(fields[_SIZE]), int(fields[_STORED])  # type: ignore[call-overload]
        except (IndexError, KeyError, TypeError):
            raise ValueError("a page has no header") from None
        at += behind + stored
        if size < 0 or stored < 0 or at > end:
            raise ValueError("a page is larger than its column")
        of_values = next((fields[number] for number in _OF_VALUES if number in fields), {})
        if not isinstance(of_values, dict):
            raise ValueError("a page has no header")
        encoding = of_values.get(4 if 8 in fields else 2, 0)
        yield Page(size, _number(of_values.get(1, 0)), _number(encoding))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("a page has no header")
    return value


def _struct(data: bytes, at: int, depth: int = 0) -> tuple[dict[int, object], int]:
    """Returns the fields of a struct in the compact protocol, by number, and where it ends.

    Whole numbers and structs are read; all else is passed over, and None. IndexError where it is cut short.
    """
    if depth > _DEEPEST:
        raise ValueError("a page's header is too deep")
    fields: dict[int, object] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[object, int]:
    if kind in (4, 5, 6):
        return _zigzag(data, at)
    if kind == 12:
        return _struct(data, at, depth + 1)
    if kind in (9, 10):
        head, at = data[at], at + 1
        count, at = (head >> 4, at) if head >> 4 < 15 else _varint(data, at)
        for _ in range(count):
            _, at = (None, at + 1) if head & 15 in (1, 2) else _value(data, at, head & 15, depth + 1)
            if at > len(data):
                raise IndexError
    elif kind == 8:
        size, at = _varint(data, at)
        at += size
    elif kind not in (1, 2):
        at += {3: 1, 7: 8}[kind]
    return None, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a page's header holds no number")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
