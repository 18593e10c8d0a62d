"""Files that are either whole or not there: write to a temporary name, sync, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from imagecodecs import zlibng_crc32

from ffpp_prep.errors import FatalError
from ffpp_prep.machine import reading, sync_file, sync_folder

__all__ = [
    "BLOCK",
    "TEMPORARY",
    "copy_bytes",
    "crc32",
    "crc32_of",
    "need_space",
    "replacing",
    "sha256_of",
    "sweep",
    "whole_file",
    "whole_folder",
    "write_json",
]

TEMPORARY = ".tmp-"
BLOCK = 256 << 10  # stays in the cache of a core: several times as fast as a block of megabytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it is synced and renamed to `path`, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: on a cluster a worker thought dead may still write the file that another one took over.
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Does what `replacing` does, but a full disk ends the run.

    Raises:
        FatalError: the disk is full.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(
                f"{path}: the disk is full; free space and run the same command again"
            ) from error
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; on success it is renamed to that, else it is removed.

    Raises:
        FatalError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            sync_file(file)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(
                f"{path}: the disk is full; free space and run the same command again"
            ) from error
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def need_space(folder: Path, needed: int) -> None:
    """Refuses to start writing what the disk can't hold, because HDF5 may crash the process on a full disk.

    Raises:
        FatalError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FatalError(
            f"{folder}: {free / 1e9:.2f} GB free, {needed / 1e9:.2f} GB needed; "
            "free space and run the same command again"
        )


def copy_bytes(
    source: Path, start: int, target: Path, place: int, size: int, beat: Callable[[], None]
) -> None:
    """Overwrites `size` bytes of `target` from byte `place` on with those of `source` from byte `start` on."""
    with source.open("rb") as reading, target.open("r+b") as writing:
        reading.seek(start)
        writing.seek(place)
        for at in range(0, size, BLOCK):
            writing.write(reading.read(min(BLOCK, size - at)))
            beat()


def sweep(folder: Path, spared_s: float = 0.0) -> None:
    """Removes what a killed run left half-written in `folder`, but for what was written to in the last seconds."""
    now = time.time()
    for leftover in folder.glob(f"{TEMPORARY}{'[0-9a-f]' * 8}-*"):  # as `whole_file` names them
        with suppress(FileNotFoundError):
            if not spared_s or now - leftover.lstat().st_mtime > spared_s:
                leftover.unlink()


def sha256_of(path: Path, beat: Callable[[], None] = lambda: None) -> str:
    """Returns the SHA-256 of a file in hexadecimal; `beat` is called after each block."""
    digest = hashlib.sha256()
    with reading(path) as file:
        while data := file.read(BLOCK):
            digest.update(data)
            beat()
    return digest.hexdigest()


def crc32_of(path: Path, beat: Callable[[], None] = lambda: None) -> int:
    """Returns the CRC-32 of a file; `beat` is called after each block."""
    value = 0
    with reading(path) as file:
        while data := file.read(BLOCK):
            value = crc32(data, value)
            beat()
    return value


def crc32(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """Returns the CRC-32 of bytes that follow those whose CRC-32 is `value`; as `zlib.crc32`, 2.5 times as fast."""
    return zlibng_crc32(data, value)  # type: ignore[arg-type]
