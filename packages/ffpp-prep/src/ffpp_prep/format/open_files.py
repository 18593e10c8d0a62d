"""Files that are read in pieces, again and again."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ffpp_prep.machine import more_open_files, open_to_read, read_at

__all__ = ["LEFT_FREE", "MOST_OPEN", "OpenFiles"]

# Above the shards of DFDC: on a slow file system an open costs more than the crop that it is for
MOST_OPEN = 2048
LEFT_FREE = 256  # descriptors for everything else


class OpenFiles:
    """Reads bytes of numbered files; at most MOST_OPEN are open, or what the system allows, the last used ones.

    Pickled, it opens them anew; forked, it reads on: a read names its place, so processes don't disturb each other.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._open: OrderedDict[int, int] = OrderedDict()
        self._most: int | None = None

    def read(self, number: int, start: int, size: int) -> bytes:
        """Returns `size` bytes of a file from `start` on; fewer where it ends before.

        Raises: OSError where it can't be opened or read.
        """
        return read_at(self._descriptor(number), size, start)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict(), "_most": None}

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def _descriptor(self, number: int) -> int:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        if self._most is None:
            self._most = _most_open(len(self._paths))
        if len(self._open) >= self._most:
            os.close(self._open.popitem(last=False)[1])
        self._open[number] = open_to_read(self._paths[number])
        return self._open[number]


def _most_open(wanted: int) -> int:
    """Returns how many files a process may keep open; the soft limit of a shell, often 1,024, is raised if need be."""
    wanted = min(wanted, MOST_OPEN)
    allowed = more_open_files(wanted + LEFT_FREE)
    return min(wanted, max(allowed - LEFT_FREE, allowed // 2))
