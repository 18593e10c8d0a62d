"""What FFmpeg lists of a Matroska file: an empty element of two bytes may cost it 120 bytes of memory.

So elements are counted where it keeps them: before the first cluster, where a seek head points, and in each block's
group in large clusters. After a fault, the count goes on at the next element of the top level, as FFmpeg does. FFmpeg
finds faults that this walk doesn't look for, and goes on inside of what is passed over here: large such parts are
searched too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EBML, _SEGMENT, _CLUSTER, _GROUP, _SEEK_POSITION = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xA0, 0x53AC
_TOP = (0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770, 0x1941A469, 0x1254C367, _CLUSTER)
_HOLDING = frozenset(
    {
        *(_SEGMENT, *_TOP),
        *(0x4DBB, 0xBB, 0xB7),  # entries of seek heads and cues
        *(0xAE, 0x6D80, 0x6240, 0xE2, 0xE3, 0x41E4),  # tracks, their encodings, planes and mappings
        *(0x45B9, 0xB6, 0x80, 0x6944),  # chapters
        *(0x61A7, 0x7373, 0x63C0, 0x67C8),  # attachments and tags
        *(0x75A1, 0xA6),  # additions to a block
    }
)
_ANY_TOP = re.compile(b"|".join(re.escape(name.to_bytes(4, "big")) for name in _TOP))
MOST_ELEMENTS = 1 << 20  # 130 MB of memory; two days with a cue a second have some 900,000
LARGE = 8 << 20  # bytes: what is smaller can't cost much more than that either
BYTES_A_STEP = 64  # of a file, for each element that is looked at beyond as many; frames have more
_ANY_LENGTH = 1 << 60
SEARCHED_A_STEP = 256  # bytes: they take as long as an element


class _Element(NamedTuple):
    name: int
    at: int
    start: int
    """of its content"""
    end: int
    known: bool
    """whether it says where it ends; live recordings don't"""


class _TooMany(Exception):
    pass


def refusal(path: Path) -> str:
    """Says why a file isn't opened; empty where it is, and of files of other kinds."""
    size = path.stat().st_size
    if size <= LARGE:
        return ""
    with path.open("rb") as file:
        walk = _Walk(file, size)
        head = walk.element(0, size)
        if head is None or head.name != _EBML:
            return ""
        try:
            for listed in chain((walk.header(),), walk.groups(), walk.hidden()):
                if any(number > MOST_ELEMENTS for number, _ in enumerate(listed)):
                    raise _TooMany
        except _TooMany:
            return f"more than {MOST_ELEMENTS:,} elements that are no pictures"
    return ""


def missing_bytes(path: Path) -> int:
    """Returns how many bytes a file is shorter than it says; 0 where it says nothing, and of files of other kinds."""
    size = path.stat().st_size
    with path.open("rb") as file:
        walk = _Walk(file, size)
        head = walk.element(0, _ANY_LENGTH)
        if head is None or head.name != _EBML:
            return 0
        segment = walk.element(head.end, _ANY_LENGTH)
    if segment is None or segment.name != _SEGMENT or not segment.known:
        return 0
    return max(0, segment.end - size)


class _Walk:
    """A walk over the elements of a file of `size` bytes; raises _TooMany where there are too many."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        # An honest file's elements take half of it; less is searched, by `groups` and then by `hidden`.
        self._left = MOST_ELEMENTS + 2 * size // BYTES_A_STEP
        self._passed: dict[int, int] = {}  # large contents that were passed over: where they begin and end

    def header(self) -> Iterator[_Element]:
        """Yields what is before the first cluster, and where seek heads there point."""
        base, seen, places = 0, set(), []
        for element in self._held(0, self._size):
            if element.name == _CLUSTER:
                break
            yield element
            if element.name in _TOP:
                seen.add(element.at)
            elif element.name == _SEGMENT:
                base = element.start
            elif element.name == _SEEK_POSITION:
                self._file.seek(element.start)
                length = min(8, element.end - element.start)
                places.append(base + int.from_bytes(self._file.read(length), "big"))
        for place in places:
            there = self.element(place, self._size) if place < self._size else None
            if place not in seen and there is not None and there.name != _CLUSTER:
                seen.add(place)
                yield from self._held(place, there.end)

    def groups(self) -> Iterator[Iterator[_Element]]:
        """Yields what belongs to one block, for each that has a group of its own in a large cluster."""
        at = 0
        while at < self._size:
            element = self.element(at, self._size)
            if element is None:
                at = self._next_top(at + 1, self._size)
            elif element.name == _GROUP:
                yield self._held(element.start, element.end)
                at = element.end
            else:
                large = element.name == _CLUSTER and element.end - element.start > LARGE
                within = large or element.name == _SEGMENT or not element.known
                at = element.start if within else self._pass(element)

    def hidden(self) -> Iterator[Iterator[_Element]]:
        """Yields what stands in large contents that were passed over, from the first element of the top level on."""
        seen: set[int] = set()
        while self._passed:
            start, end = self._passed.popitem()
            if start not in seen:
                seen.add(start)
                yield self._held(self._next_top(start, end), end, _HOLDING | {_GROUP})

    def element(self, at: int, end: int) -> _Element | None:
        """Reads the one at a place; none where none is that ends before `end`."""
        self._spend(1)
        self._file.seek(at)
        head = self._file.read(12)
        names = 9 - head[0].bit_length() if head else 9
        if names > 4 or len(head) <= names or not head[names]:
            return None
        sizes = 9 - head[names].bit_length()
        start, most = at + names + sizes, (1 << 7 * sizes) - 1
        length = int.from_bytes(head[names : names + sizes], "big") & most
        known = length != most
        if start + (length if known else 0) > end:
            return None
        return _Element(
            int.from_bytes(head[:names], "big"), at, start, start + length if known else end, known
        )

    def _held(self, at: int, end: int, holding: Set[int] = _HOLDING) -> Iterator[_Element]:
        """Yields each element, then those that it holds."""
        ends = [end]
        while at < end:
            while at >= ends[-1]:
                ends.pop()
            element = self.element(at, ends[-1])
            if element is None:
                at, ends = self._next_top(at + 1, end), [end]
                continue
            yield element
            if element.name in holding:
                ends.append(element.end)
            at = element.start if element.name in holding else self._pass(element)

    def _pass(self, element: _Element) -> int:
        """Returns where an element ends, and remembers a large one."""
        if element.end - element.start > LARGE:
            self._passed[element.start] = element.end
        return element.end

    def _next_top(self, at: int, end: int) -> int:
        """Finds where the next element of the top level may begin."""
        length = 1 << 10
        while at + 3 < end:  # a name has four bytes
            self._file.seek(at)
            chunk = self._file.read(min(length, end - at))
            found = _ANY_TOP.search(chunk)
            self._spend(1 + (found.end() if found else len(chunk)) // SEARCHED_A_STEP)
            if found:
                return at + found.start()
            at += max(1, len(chunk) - 3)
            length = min(2 * length, 1 << 20)
        return end

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooMany
