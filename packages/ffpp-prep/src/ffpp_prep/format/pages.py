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
        header = _Header(file.read(min(MOST_HEADER, end - at)))
        try:
            fields = header.struct()
            size, stored = int(fields[_SIZE]), int(fields[_STORED])  # type: ignore[call-overload]
        except (IndexError, KeyError, TypeError):
            raise ValueError("a page has no header") from None
        at += header.at + stored
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


class _Header:
    """A struct in the compact protocol; IndexError where it is cut short."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, object]:
        """Returns the fields by number: whole numbers and structs; all else is passed over, and None."""
        if depth > _DEEPEST:
            raise ValueError("a page's header is too deep")
        fields: dict[int, object] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> object:
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 12:
            return self.struct(depth + 1)
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            for _ in range(count):
                self._value(head & 15, depth + 1)
        elif kind not in (1, 2):
            self._skip({3: 1, 7: 8, 8: self._varint() if kind == 8 else 0}[kind])
        return None

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a page's header holds no number")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
