"""A Dask cluster: the same tasks as futures, a bounded number of them in flight.

Dask itself gives a dead worker's tasks to others, and a task whose workers died again and again comes back as
KilledWorker; with it may come tasks that only waited beside it, so each of them goes in once more, alone, and Dask
tries it as often again. So does a task that Dask forgot, its worker having died between finishing and handing over
the result. Hangs Dask doesn't know: tasks send events while they make progress, and the worker of a silent one is
restarted.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import gc
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from pathlib import Path
from typing import Any

from ffpp_prep.errors import UserError
from ffpp_prep.jobs.interface import Beat, Lost, Result, Task, TaskOutcome
from ffpp_prep.version import __version__

try:
    from distributed import Client, Future, KilledWorker, get_worker
    from distributed.comm.core import CommClosedError

    from ffpp_prep.jobs.meeting import (
        ClusterWorkers,
        Token,
        has_no_scheduler,
        one_line,
        require_same_folder,
        require_same_version,
        require_sight,
        same_folder,
        scheduler_lost,
        wait_a_moment,
    )
except ImportError as missing:
    raise UserError("--scheduler: Dask is not installed; run  pip install 'ffpp-prep[dask]'") from missing

BEAT_S = 1.0  # at most one event a task in this time
CONNECT_S = 20


def run_on_cluster(
    function: Callable[[Task, Beat], Result],
    tasks: Sequence[Task],
    timeout_s: float,
    scheduler: str,
    shared: Path | None = None,
    look: Callable[[], None] | None = None,
) -> Iterator[TaskOutcome[Task, Result]]:
    """See `ffpp_prep.jobs.run_tasks`."""
    client = _connect(scheduler)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its news come as outcomes or errors
    with client, same_folder(shared) as token:
        cluster = _Cluster(client, function, timeout_s, scheduler, token, look)
        suspects: list[int] = []
        try:
            require_same_version(client, scheduler, __version__)
            if token:
                require_same_folder(client, token)
            for index, result in cluster.run(tasks, range(len(tasks)), suspects):
                yield TaskOutcome(tasks[index], result)
            for index in suspects:
                alone: list[int] = []
                for _, result in cluster.run(tasks, [index], alone):
                    yield TaskOutcome(tasks[index], result)
                if alone:
                    yield TaskOutcome(tasks[index], None, cluster.lost(index))
        except (CancelledError, CommClosedError) as error:
            raise scheduler_lost(scheduler) from error


def _connect(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        reason = one_line(error)
    # Now, not whenever it falls due: collected while the next client starts its thread, what is left of this one waits
    # for a lock of Dask's that the next one holds, and both stand still.
    gc.collect()
    raise UserError(f"scheduler={scheduler}: no Dask scheduler answers ({reason})")


class _Cluster:
    """One run's tasks on a cluster, and what is known of them."""

    def __init__(
        self,
        client: Client,
        function: Callable[..., Any],
        timeout_s: float,
        scheduler: str,
        token: Token | None,
        look: Callable[[], None] | None,
    ) -> None:
        self._client = client
        self._look = look
        self._token = token
        self._workers = ClusterWorkers(scheduler)
        self._function = function
        self._timeout_s = timeout_s
        self._hung: set[int] = set()
        self._topic = f"ffpp-prep-{uuid.uuid4().hex}"
        self._beats: dict[Any, tuple[str, float]] = {}  # key -> worker and time of its latest event
        client.subscribe_topic(self._topic, self._heard)

    def run(
        self, tasks: Sequence[Any], indices: Sequence[int], suspects: list[int]
    ) -> Iterator[tuple[int, Any]]:
        """Works through `indices`; adds tasks that lost their workers to `suspects`."""
        waiting = iter(indices)
        running: dict[Future[Any], int] = {}
        try:
            while True:
                self._fill(running, waiting, tasks)
                if not running:
                    return
                if self._look:
                    self._look()
                for future in wait_a_moment(list(running)):
                    index = running.pop(future)
                    self._beats.pop(future.key, None)
                    try:
                        result = future.result()
                    except (KilledWorker, CancelledError) as error:
                        if has_no_scheduler(error):
                            raise
                        suspects.append(index)
                        continue
                    future.release()  # else Dask would make the result again, should its worker die later
                    yield index, result
                suspects.extend(self._stop_hanging(running))
        finally:  # whoever is still at work notices by its next beat
            if running and self._client.status == "running":
                self._client.cancel(list(running))

    def lost(self, index: int) -> Lost:
        if index in self._hung:
            return Lost("timeout", f"no progress for {self._timeout_s:g} s; the worker was restarted")
        return Lost("crashed", "the worker process died")

    def _fill(self, running: dict[Future[Any], int], waiting: Iterator[int], tasks: Sequence[Any]) -> None:
        # Twice the workers: nobody waits for work, and little is to be redone when a worker dies.
        room = max(1, self._workers.look(self._client)) * 2 - len(running)
        for index in islice(waiting, max(0, room)):
            self._hung.discard(index)  # the latest try is what counts
            key = f"{self._topic}-{index}-{uuid.uuid4().hex[:8]}"
            future = self._client.submit(
                _on_worker,
                self._function,
                tasks[index],
                key,
                self._topic,
                self._token,
                key=key,
                pure=False,
            )
            running[future] = index

    def _stop_hanging(self, running: dict[Future[Any], int]) -> Iterator[int]:
        now = time.monotonic()
        for future, index in list(running.items()):
            worker, heard = self._beats.get(future.key, ("", now))
            if now - heard <= self._timeout_s:
                continue
            self._beats.pop(future.key, None)
            if worker in self._client.nthreads():  # else it died, and Dask gives its tasks to others
                self._hung.add(index)
                del running[future]
                future.cancel()
                self._client.restart_workers([worker], raise_for_error=False)
                yield index

    def _heard(self, event: tuple[float, Any]) -> None:
        key, worker = event[1]
        self._beats[key] = (worker, time.monotonic())


def _on_worker(
    function: Callable[[Any, Beat], Any], task: Any, key: str, topic: str, token: Token | None
) -> Any:
    worker = get_worker()
    if worker.state.nthreads != 1:
        raise UserError(
            f"Dask worker {worker.address} has {worker.state.nthreads} threads; start workers with --nthreads 1"
        )
    if token:
        require_sight(worker.address, token)
    last = 0.0

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < BEAT_S:
            return
        last = now
        state = worker.state.tasks.get(key)
        if state is None or state.state != "executing":  # the run was stopped, or others do this now
            raise RuntimeError("nobody waits for this task any more")
        worker.log_event(topic, (key, worker.address))

    beat()
    return function(task, beat)
