"""What operating systems do each in their own way: one function for each such thing, and no other place for them.

Ruff refuses the names that only some systems have everywhere else (`flake8-tidy-imports` in pyproject.toml).
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import IO

import psutil

__all__ = [
    "BROKEN_PIPE",
    "KINDS",
    "content_of",
    "cores",
    "end_process",
    "is_running",
    "lock",
    "memory",
    "more_open_files",
    "open_to_read",
    "read_at",
    "reading",
    "sync_file",
    "sync_folder",
]

BROKEN_PIPE = 128 + 13  # the status of what SIGPIPE ends, on systems without it too
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_reading = Lock()  # where a read can't name its place
# What file systems answer that can't sync a folder (CIFS, 9p, some of FUSE), or whose folders may not be read.
_NO_SYNC = (
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
)


def cores() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Returns the machine's memory in bytes."""
    return int(psutil.virtual_memory().total)


def open_to_read(path: Path) -> int:
    """Returns a descriptor of a file's bytes; a pipe that nobody writes to is opened without waiting.

    Raises:
        OSError: it can't be opened.
    """
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))


def reading(path: Path) -> BufferedReader:
    """Opens a stored file to be read; what stands in its place without being one is never waited for.

    Raises:
        FileNotFoundError: there is none, or a pipe or a device.
        IsADirectoryError: there is a folder.
        OSError: it can't be opened.
    """
    handle = open_to_read(path)
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.ENOENT
        raise OSError(number, f"this is {KINDS.get(kind, 'no file')}, not a file", str(path))
    return os.fdopen(handle, "rb")


def content_of(path: Path) -> bytes:
    """Returns all bytes of a file, opened as `reading` does."""
    with reading(path) as file:
        return file.read()


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """Returns `size` bytes from `start` on, fewer at the file's end; several threads may read one descriptor.

    Raises:
        OSError: they can't be read.
    """
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, start)
    with _reading:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size)


def more_open_files(wanted: int) -> int:
    """Raises the number of files that this process may have open towards `wanted`, and returns what is allowed."""
    try:
        import resource
    except ImportError:  # Windows counts handles, of which a process may have millions
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    with suppress(ValueError, OSError):  # macOS has a limit below the one that it states
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft


def lock(file: int | IO[str] | IO[bytes], *, shared: bool = False) -> None:
    """Takes the system's lock of an open file, which ends with the file or the process.

    Raises:
        BlockingIOError: another one holds it.
        OSError: with `errno.ENOLCK` or a like number where the system or the file system has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOLCK, "this system has no such locks") from None
    fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def sync_file(path: Path) -> None:
    """Waits until a file's bytes are on the disk."""
    with path.open("r+b") as file:  # Windows syncs only what may be written
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until a folder's names are on the disk, where folders can be synced (not on Windows).

    Raises:
        OSError: the disk failed.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def is_running(process: int) -> bool:
    """Says whether a process of this machine has that number; never disturbs it."""
    try:
        return bool(psutil.pid_exists(process))
    except OverflowError:
        return False


def end_process(process: int) -> None:
    """Ends a process at once, without asking it; one that is gone already is left at that."""
    with suppress(ProcessLookupError):
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows SIGTERM ends it so
