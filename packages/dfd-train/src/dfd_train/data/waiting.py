"""How long a batch is waited for: never without end, and a few seconds only once somebody asked for an end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread, current_thread
from typing import TypeVar

from dfd_train.errors import TrainingError

GLANCE_SECONDS = 1.0  # how long a batch is waited for before signals and processes are looked after
GRACE_SECONDS = 5.0  # how long a batch may still take after somebody asked for an end
BATCH_SECONDS = 600.0  # how long any batch may take
Item = TypeVar("Item")


def no_batch() -> str:
    """Returns what is said where no batch has come."""
    return (
        f"no batch has come in {BATCH_SECONDS / 60:g} minutes: a loader process hangs, or its disk does; "
        "with --workers 0 crops are read without such processes"
    )


class Watch:
    """Ends loader processes where a batch that is begun to be fetched doesn't come, as of one that was stopped.

    The fetch itself has no timeout: it waits at a socket of the process.
    """

    def __init__(self, end_processes: Callable[[], None], stopped: Callable[[], bool]) -> None:
        self.fired = False
        self._end_processes, self._stopped = end_processes, stopped
        self._since: float | None = None
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def end(self) -> None:
        """Ends the watch, its thread too.

        What `stopped` holds may be a whole network: a thread that outlived this would free it while the interpreter
        ends, which aborts the process.
        """
        self._over.set()
        if self._thread is not current_thread():  # where the garbage is collected there
            self._thread.join(timeout=GRACE_SECONDS)

    def _look(self) -> None:
        asked = None
        while not self._over.wait(GLANCE_SECONDS):
            since, now = self._since, time.monotonic()
            asked = asked or (now if self._stopped() else None)
            late = since is not None and now - since > BATCH_SECONDS + 2 * GLANCE_SECONDS
            unanswered = since is not None and asked is not None and now - max(asked, since) > GRACE_SECONDS
            if late or unanswered:
                self.fired = True
                self._end_processes()
                return


def next_batch(batches: Iterator[Item], stopped: Callable[[], bool], watch: Watch) -> Item | None:
    """Returns the next batch, None at the end; raises as `BatchLoader.load` where none comes."""
    began = time.monotonic()
    asked = None
    while True:
        try:
            with watch:
                return next(batches, None)
        except RuntimeError as error:
            if not str(error).startswith("DataLoader timed out"):
                raise
        now = time.monotonic()
        asked = asked or (now if stopped() else None)
        if asked is not None and now - asked > GRACE_SECONDS:
            raise KeyboardInterrupt
        if now - began > BATCH_SECONDS:
            raise TrainingError(no_batch())
