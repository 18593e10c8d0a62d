"""Worker processes of this machine, watched: joblib's loky pool, or processes of several threads each.

A worker that dies takes its whole pool along, so each task leaves a marker while it runs: after a crash the tasks
that were running are tried again, alone. A task whose marker wasn't stamped for `timeout_s` hangs; its worker is
killed, which leads the same way.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from joblib.externals.loky.process_executor import ProcessPoolExecutor

from ffpp_prep.errors import FatalError
from ffpp_prep.jobs.interface import Beat, Lost, Result, Task, TaskOutcome
from ffpp_prep.jobs.threaded import ThreadedExecutor
from ffpp_prep.machine import end_process

POLL_S = 0.5
MAX_FALSE_STARTS = 3


def run_here(
    function: Callable[[Task, Beat], Result],
    tasks: Sequence[Task],
    jobs: int,
    timeout_s: float,
    threads: int = 1,
    devices: Sequence[str] = (),
    look: Callable[[], None] | None = None,
) -> Iterator[TaskOutcome[Task, Result]]:
    """See `ffpp_prep.jobs.run_tasks`."""
    with tempfile.TemporaryDirectory(prefix="ffpp-prep-") as markers:
        pool = _Pool(function, partial(_executor, jobs, threads, devices), timeout_s, Path(markers), look)
        try:
            suspects: list[int] = []
            waiting = list(range(len(tasks)))[::-1]
            while waiting:
                for index, result in pool.run(tasks, waiting, jobs * threads, suspects):
                    yield TaskOutcome(tasks[index], result)
            for index in suspects:
                again, alone = [index], list[int]()
                while again:
                    for _, result in pool.run(tasks, again, 1, alone):
                        yield TaskOutcome(tasks[index], result)
                if alone:
                    yield TaskOutcome(tasks[index], None, pool.lost(index))
        finally:
            pool.close()


class Executor(Protocol):
    """What both kinds of processes are to `_Pool`."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Gives a call to a process."""
        ...

    def shutdown(self, wait: bool, kill_workers: bool) -> None:
        """Ends the processes and waits for them."""
        ...


class _Pool:
    """An executor that is made anew after it broke."""

    def __init__(
        self,
        function: Callable[..., Any],
        make: Callable[[], Executor],
        timeout_s: float,
        markers: Path,
        look: Callable[[], None] | None,
    ) -> None:
        self._function = function
        self._make = make
        self._timeout_s = timeout_s
        self._markers = markers
        self._look = look
        self._executor: Executor | None = None
        self._hung: set[int] = set()
        self._false_starts = 0  # times in a row that the pool broke before any task began

    def run(
        self, tasks: Sequence[Any], waiting: list[int], jobs: int, suspects: list[int]
    ) -> Iterator[tuple[int, Any]]:
        """Works through `waiting` (emptied from its end) until done or broken; what was running goes to `suspects`."""
        running: dict[Future[Any], int] = {}
        while waiting or running:
            while waiting and len(running) < 2 * jobs:  # a short queue: little is to be redone after a crash
                index = waiting.pop()
                running[self._submit(index, tasks[index])] = index
            finished, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            if self._look:
                self._look()
            broken = False
            for future in finished:
                index = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    broken = True
                    running[future] = index
                    continue
                self._false_starts = 0
                yield index, result
            if broken:
                self.close()
                self._sort_out(running.values(), waiting, suspects)
                return
            self._kill_hanging(running.values())

    def _sort_out(self, running: Iterable[int], waiting: list[int], suspects: list[int]) -> None:
        """Sorts tasks after a crash: those that had begun are suspects, the others go back to the queue."""
        begun = [index for index in running if (self._markers / str(index)).exists()]
        waiting.extend(index for index in running if index not in begun)
        suspects.extend(begun)
        for index in begun:
            (self._markers / str(index)).unlink()
        self._false_starts = 0 if begun else self._false_starts + 1
        if self._false_starts == MAX_FALSE_STARTS:
            raise FatalError(
                f"worker processes died {MAX_FALSE_STARTS} times before they began any task; "
                "is there enough memory, and was ffpp-prep changed while it ran?"
            )

    def lost(self, index: int) -> Lost:
        if index in self._hung:
            return Lost("timeout", f"no progress for {self._timeout_s:g} s; the worker was stopped")
        return Lost("crashed", "the worker process died")

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None

    def _submit(self, index: int, task: Any) -> Future[Any]:
        if self._executor is None:
            self._executor = self._make()
        self._hung.discard(index)  # the latest try is what counts
        marker = self._markers / str(index)
        future: Future[Any] = self._executor.submit(_tracked, marker, os.getpid(), self._function, task)
        return future

    def _kill_hanging(self, running: Any) -> None:
        for index in running:
            marker = self._markers / str(index)
            try:
                silent = time.monotonic() - marker.stat().st_mtime
                worker = int(marker.read_text() or 0)
            except (FileNotFoundError, ValueError):
                continue
            if silent > self._timeout_s and worker:
                self._hung.add(index)
                end_process(worker)


def _executor(jobs: int, threads: int, devices: Sequence[str]) -> Executor:
    if threads == 1 and not devices:
        executor: Executor = ProcessPoolExecutor(max_workers=jobs, initializer=_start_worker)
        return executor
    return ThreadedExecutor(jobs, threads, devices)


def _start_worker() -> None:
    # Ctrl-C, and often a scheduler's signal, go to the whole process group; the parent alone decides what to do.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)


def _tracked(marker: Path, parent: int, function: Callable[[Any, Beat], Any], task: Any) -> Any:
    marker.write_text(str(os.getpid()))
    _stamp(marker)

    def beat() -> None:
        if os.getppid() != parent:  # the parent was killed: nobody wants the result
            os._exit(1)
        _stamp(marker)

    try:
        return function(task, beat)
    finally:
        marker.unlink(missing_ok=True)


def _stamp(marker: Path) -> None:
    """Marks a sign of life by the clock that all processes of a machine share and that never jumps."""
    now = time.monotonic_ns()
    os.utime(marker, ns=(now, now))
