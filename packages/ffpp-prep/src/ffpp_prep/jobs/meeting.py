"""Before a cluster works, and while it does: are there workers, of the same ffpp-prep, that see the same work folder?

A file in the folder with a token of this run tells: a path alone may be another disk on each machine.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from distributed import Client, Future, wait

from ffpp_prep.errors import FatalError, UserError
from ffpp_prep.format.files import TEMPORARY
from ffpp_prep.text.units import duration_text
from ffpp_prep.version import __version__

Token = tuple[str, str]  # where a file is, and what it holds

POLL_S = 0.5
TRIES = 3  # to ask a worker something
NEWS_S = 60.0  # between two lines about a cluster without workers
WORKERS_S = 600.0  # that a cluster may be without workers
SEEN_S = 10.0  # that a shared file system may take to show a new file elsewhere

log = logging.getLogger(__name__)


@contextmanager
def same_folder(folder: Path | None) -> Iterator[Token | None]:
    """Keeps a file in the folder that all workers must see, for the time of a run."""
    if folder is None:
        yield None
        return
    name = secrets.token_hex(4)
    path = folder / f"{TEMPORARY}{name}-cluster"  # swept where this run is killed
    path.write_text(name, encoding="ascii")
    try:
        yield str(path), name
    finally:
        path.unlink(missing_ok=True)


def require_same_version(client: Client, scheduler: str, ours: str) -> None:
    """Asks a worker, as soon as there is one, which ffpp-prep it has.

    Raises:
        UserError: another one.
        FatalError: no worker came.
    """
    workers = ClusterWorkers(scheduler)
    try:
        version = _answer(client, workers)
    except (ImportError, RuntimeError, AttributeError) as error:
        if isinstance(error, FatalError):
            raise
        raise UserError(
            f"the Dask scheduler and its workers need ffpp-prep {ours} too ({one_line(error)})"
        ) from error
    if version != ours:
        raise UserError(
            f"the Dask workers have ffpp-prep {version}, this is {ours}: install the same version on both"
        )


def _answer(client: Client, workers: ClusterWorkers) -> str:
    """Returns the version of a worker; of another one where the first is killed before it hands over its answer."""
    left = TRIES
    while True:
        left -= 1
        question = client.submit(_version, pure=False)
        try:
            while not wait_a_moment([question]):
                workers.look(client)
            return str(question.result())
        except CancelledError as error:
            if has_no_scheduler(error) or not left:
                raise


def require_same_folder(client: Client, token: Token) -> None:
    """Asks all workers that there are; those that come later are asked with their first task.

    Raises:
        UserError: one of them sees another folder.
    """
    others = [worker for worker, sees in client.run(_sees, token).items() if not sees]
    if others:
        raise UserError(_elsewhere(others[0], token))


def _sees(token: Token) -> bool:
    path, name = token
    end = time.monotonic() + SEEN_S
    while True:
        with suppress(OSError):
            if Path(path).read_text(encoding="ascii") == name:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


@lru_cache(maxsize=1)
def require_sight(worker: str, token: Token) -> None:
    """Looks for the file on a worker, once a run, as a worker may come late.

    Raises:
        UserError: it isn't there.
    """
    if not _sees(token):
        raise UserError(_elsewhere(worker, token))


def _elsewhere(worker: str, token: Token) -> str:
    return (
        f"Dask worker {worker} sees another {Path(token[0]).parent} than this machine, or none: "
        "WORK and the videos must be at the same path everywhere, on a shared file system"
    )


def wait_a_moment(futures: Sequence[Future[Any]]) -> set[Future[Any]]:
    """Returns the tasks that are done or cancelled, after POLL_S at the latest."""
    if cancelled := {future for future in futures if future.cancelled()}:
        return cancelled
    try:
        done: set[Future[Any]] = wait(list(futures), timeout=POLL_S, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return set()
    except CancelledError:
        return {future for future in futures if future.cancelled()}
    return done


def has_no_scheduler(error: BaseException) -> bool:
    """Returns whether a task was cancelled because its scheduler is gone, not because its worker is."""
    return str(getattr(error, "reason", "")).startswith("scheduler")


class ClusterWorkers:
    """Whether a cluster has any, and for how long it had none."""

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler
        self._threads = 0
        self._since = self._said = time.monotonic()
        self._said -= NEWS_S - 5  # nobody needs to know of the first seconds

    def look(self, client: Client) -> int:
        """Returns how many threads the workers have, or had within POLL_S; says every minute that there are none.

        Raises:
            FatalError: there have been none for too long, or the scheduler is gone.
        """
        now = time.monotonic()
        if self._threads and now - self._since < POLL_S:  # not for each of many short tasks
            return self._threads
        try:
            self._threads = threads = sum(client.nthreads().values())
        except OSError as error:  # nothing answers any more
            raise scheduler_lost(self._scheduler) from error
        if threads:
            self._since = now
            return threads
        start = f"dask worker {self._scheduler} --nthreads 1"
        if now - self._since > WORKERS_S:
            raise FatalError(
                f"the Dask scheduler {self._scheduler} has had no workers for {duration_text(WORKERS_S)}; what is "
                f"committed stays. Start some, with  {start}  and run the same command again"
            )
        if now - self._said > NEWS_S:
            self._said = now
            log.warning(
                "the Dask scheduler %s has no workers; waiting for one, %s at most. To start one:  %s",
                self._scheduler,
                duration_text(WORKERS_S),
                start,
            )
        return 0


def _version() -> str:
    return __version__


def scheduler_lost(scheduler: str) -> FatalError:
    """Returns what ends a run whose scheduler is gone."""
    return FatalError(
        f"the Dask scheduler {scheduler} was lost; what is committed stays, run the same command again"
    )


def one_line(error: Exception) -> str:
    """Returns what an error says in one line of at most 160 characters."""
    return " ".join(str(error).split())[:160]
