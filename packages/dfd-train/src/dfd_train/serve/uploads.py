"""What a browser sends, taken in: a video or picture, no more bytes than allowed, in blocks, to a file."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dfd_train.predict.inputs import READ, folder_name
from dfd_train.serve.refusal import Refused
from ffpp_prep.text.units import counted
from ffpp_prep.video.photographs import HEAD, is_plainly_one, kind_of

BLOCK = 1 << 20
SPARE = 256 << 20  # bytes of disk to be left for results
PATIENCE_S, LEAST = 30.0, 300_000  # an upload of which fewer bytes came in as many seconds is given up


def safe_name(name: str) -> str:
    """Returns a file name without folders or odd letters, with the ending that its sender gave it."""
    last = called(name)
    stem, dot, ending = last.rpartition(".")
    return folder_name(
        f"{folder_name(stem)}.{ending}" if dot else last
    )  # odd signs alone must leave a name, too


def require_kind(path: Path) -> None:
    """Makes sure of what `predict` takes in a folder: a video or picture by its first bytes, or by its ending.

    Raises: Refused (415).
    """
    if kind_of(path) == "heic":
        raise Refused(415, "HEIC pictures can't be read; save this one as JPEG")
    if not is_plainly_one(path) and path.suffix.lower() not in READ:
        raise Refused(415, "this is no video or picture")


def called(name: str) -> str:
    """Returns what its sender calls a file: the last part of its path."""
    return re.split(r"[/\\]", name)[-1][-255:] or "file"


def announced(length: str | None, limit: int) -> int:
    """Returns the bytes of an upload, of its header. Raises: Refused: none (411), empty (400), above `limit` (413)."""
    if length is None or not re.fullmatch(r"[0-9]{1,18}", length):
        raise Refused(411, "the length of the file must be told beforehand")
    size = int(length)
    if size == 0:
        raise Refused(400, "the file is empty")
    if size > limit:
        raise Refused(413, f"{size / 1e6:,.0f} MB are above the limit of {limit / 1e6:,.0f} MB")
    return size


class Space:
    """The disk of a folder, promised to uploads before they come; for one thread."""

    def __init__(self, folder: Path, spare: int = SPARE) -> None:
        self._folder, self._spare = folder, spare
        self._promised = 0

    @contextmanager
    def promise(self, size: int) -> Iterator[Promise]:
        """Reserves room for `size` bytes, until the block ends. Raises: Refused (507) where there is not as much."""
        if size + self._promised + self._spare > shutil.disk_usage(self._folder).free:
            raise Refused(507, "there is not enough space on the disk")
        self._promised += size
        promise = Promise(self, size)
        try:
            yield promise
        finally:
            promise.use(promise.left)

    def _free(self, size: int) -> None:
        self._promised -= size


class Promise:
    """Room for an upload's bytes that have not come yet."""

    def __init__(self, space: Space, size: int) -> None:
        self._space, self.left = space, size

    def use(self, size: int) -> None:
        """Counts bytes that are on the disk now, or will never come."""
        self.left -= size
        self._space._free(size)


async def receive(blocks: AsyncIterator[bytes], promise: Promise, target: Path) -> None:
    """Writes the bytes that were announced to `target`; nothing stays of an upload that is cut short.

    Raises: Refused: ended early or longer than announced (400), too slow (408), neither video nor picture (415); the
        disk is full (507).
    """
    target.parent.mkdir(parents=True, mode=0o700)
    try:
        with target.open("xb") as file:
            await _copy(blocks, promise, file, target)
    except BaseException:
        shutil.rmtree(target.parent, ignore_errors=True)
        raise


async def _copy(blocks: AsyncIterator[bytes], promise: Promise, file: IO[bytes], target: Path) -> None:
    waiting, enough = bytearray(), HEAD

    async def write() -> None:
        try:
            await asyncio.to_thread(_write, file, bytes(waiting))
        except OSError as error:
            raise Refused(507, f"the disk refuses the file: {error.strerror}") from None
        promise.use(len(waiting))
        waiting.clear()

    clock = asyncio.get_running_loop().time
    begun, came = clock(), 0
    while True:
        if came >= LEAST:
            begun, came = clock(), 0
        try:
            async with asyncio.timeout_at(begun + PATIENCE_S):
                block = await anext(blocks, None)
        except TimeoutError:
            raise Refused(408, f"only {counted(came, 'byte')} came in {PATIENCE_S:.0f} seconds") from None
        came += len(block or b"")
        if block is None:
            break
        if len(block) + len(waiting) > promise.left:
            raise Refused(400, "more bytes came than were announced")
        waiting += block
        if len(waiting) >= enough:
            await write()
            if enough == HEAD:
                require_kind(target)
            enough = BLOCK
    await write()
    if promise.left:
        raise Refused(400, f"the upload ended {counted(promise.left, 'byte')} early")
    require_kind(target)


def _write(file: IO[bytes], block: bytes) -> None:
    file.write(block)
    file.flush()
