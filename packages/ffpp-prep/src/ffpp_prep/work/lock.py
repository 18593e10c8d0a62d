"""One run at a time in a folder: the system's lock, or where a file system has none, a file that says whose it is."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import SoftFileLock, Timeout

from ffpp_prep import machine
from ffpp_prep.errors import UserError
from ffpp_prep.format.files import sweep

__all__ = ["LOCK", "NO_LOCKS", "OWNER", "is_at_work", "only_run"]

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
LOCK, OWNER = ".lock", ".lock-owner"

log = logging.getLogger(__name__)


@contextmanager
def only_run(folder: Path, who: str = "ffpp-prep", spared_s: float = 0.0) -> Iterator[None]:
    """Holds a folder's lock; a second run on the same folder is refused, a killed one's lock is free again.

    Where the file system has no locks (Lustre without `-o flock`, NFS without its lock service), a file with host and
    process takes their place. Its owner's end is seen on the same host only: for another one the message says what to
    do. What a killed run left half-written in the folder itself is removed.

    Args:
        folder: made where it isn't there.
        who: what kind of run, for the message.
        spared_s: how long ago what is half-written must have been written to, where not only runs write there.

    Raises:
        UserError: another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / LOCK).exists():
        machine.reading(folder / LOCK).close()  # a pipe in its place would be waited for
    with (folder / LOCK).open("a") as file:
        locked = _lock(file, folder, who)
        if locked and not (folder / OWNER).exists():
            sweep(folder, spared_s)
            yield
            return
        with _owning(folder, who):
            if not locked:
                log.warning(
                    "%s: this file system has no locks; %s names this run instead, and is removed at its end",
                    folder,
                    OWNER,
                )
            sweep(folder, spared_s)
            yield


def is_at_work(folder: Path) -> bool:
    """Returns whether a run holds the folder's lock right now; one of a killed run on another host counts, too."""
    try:
        with machine.reading(folder / LOCK) as file:
            machine.lock(file, shared=True)
    except BlockingIOError:
        return True
    except OSError:  # no lock yet, no locks here, or a folder that may only be read
        pass
    owner = _owner(folder / OWNER)
    return owner is not None and not owner.is_gone()


def _lock(file: IO[str], folder: Path, who: str) -> bool:
    """Takes the system's lock; whether there is such a thing here."""
    try:
        machine.lock(file)
    except BlockingIOError:
        raise UserError(_in_the_way(folder, who, _owner(folder / LOCK))) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    with suppress(OSError):  # for the message only: a full disk must not keep a run from holding its lock
        file.truncate(0)
        file.write(f"{os.getpid()}\n{socket.gethostname()}\n")
        file.flush()
    return True


@contextmanager
def _owning(folder: Path, who: str) -> Iterator[None]:
    path = folder / OWNER
    lock = SoftFileLock(path)
    try:
        lock.acquire(timeout=0.2, poll_interval=0.05)  # takes the place of an owner of this host that is gone
    except Timeout:
        raise UserError(_in_the_way(folder, who, _owner(folder / OWNER), by_file=True)) from None
    try:
        yield
    finally:
        lock.release()


def _in_the_way(folder: Path, who: str, owner: _Owner | None, *, by_file: bool = False) -> str:
    process = f", process {owner.process} on {owner.host}" if owner else ""
    message = f"{folder}: another {who} run is at work here{process}; wait for it or stop it"
    if owner is None or owner.host == socket.gethostname() or not by_file:
        return message
    return f"{message} there. If that run has ended without removing its lock, remove {folder / OWNER}"


@dataclass(frozen=True)
class _Owner:
    """Whose lock it is, as SoftFileLock records it."""

    process: int
    host: str

    def is_gone(self) -> bool:
        """Returns whether its process has ended, as far as this host knows."""
        return self.host == socket.gethostname() and not machine.is_running(self.process)


def _owner(path: Path) -> _Owner | None:
    try:
        process, host = machine.content_of(path).decode().splitlines()[:2]
        return _Owner(int(process), host)
    except (OSError, ValueError):
        return None
