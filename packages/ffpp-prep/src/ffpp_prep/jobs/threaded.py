"""Worker processes that each have several tasks at work, a thread each: what they share, such as a GPU, stays busy.

Used like loky's executor, whose processes run one task at a time. As there, a process that dies fails every call
that was under way with BrokenProcessPool.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pickle import PicklingError
from typing import Any

from joblib.externals.loky.backend import get_context
from joblib.externals.loky.backend.reduction import dumps

from ffpp_prep.machine import end_process


@dataclass
class _Worker:
    """A process, our end of its pipe, and what it has been asked for."""

    process: Any
    pipe: Connection
    calls: dict[int, Future[Any]] = field(default_factory=dict)


class ThreadedExecutor:
    """Processes of several threads each.

    Args:
        processes: how many.
        threads: calls that each has at work at once.
        devices: CUDA_VISIBLE_DEVICES of each process; empty leaves it as it is.
    """

    def __init__(self, processes: int, threads: int, devices: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._numbers = 0
        self._broken = False
        self._workers = [_start(threads, devices[index] if devices else None) for index in range(processes)]
        for worker in self._workers:
            threading.Thread(target=self._receive, args=(worker,), daemon=True).start()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Gives a call to the process that has the fewest."""
        future: Future[Any] = Future()
        with self._lock:
            if self._broken:
                future.set_exception(BrokenProcessPool("a worker process died"))
                return future
            worker = min(self._workers, key=lambda w: len(w.calls))
            self._numbers += 1
            worker.calls[self._numbers] = future
            try:
                worker.pipe.send_bytes(dumps((self._numbers, function, arguments)))
            except OSError:
                self._break()
        return future

    def shutdown(self, wait: bool = True, kill_workers: bool = False) -> None:
        """Ends the processes; calls that are under way are lost, as with loky's `kill_workers`."""
        for worker in self._workers:
            end_process(worker.process.pid)
        for worker in self._workers:
            worker.process.join()

    def _receive(self, worker: _Worker) -> None:
        """Waits for one process's results, until it ends."""
        while True:
            try:
                number, result, error = worker.pipe.recv()
            except (OSError, EOFError):
                break
            with self._lock:
                future = worker.calls.pop(number, None)
            if future is None:  # another process died: this call counts as lost
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        with self._lock:
            self._break()

    def _break(self) -> None:
        self._broken = True
        for worker in self._workers:
            for future in worker.calls.values():
                future.set_exception(BrokenProcessPool("a worker process died"))
            worker.calls.clear()


def _start(threads: int, device: str | None) -> _Worker:
    context = get_context("loky")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, threads, device), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(pipe: Connection, threads: int, device: str | None) -> None:
    """Works through tasks in a process, until the parent is gone."""
    # Ctrl-C, and often a scheduler's signal, go to the whole process group; the parent alone decides what to do.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    sending = threading.Lock()
    pool = ThreadPoolExecutor(threads)

    def run(number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        result, error = None, None
        try:
            result = function(*arguments)
        except Exception as raised:
            error = raised
        with sending:
            try:
                pipe.send_bytes(dumps((number, result, error)))
            except (TypeError, PicklingError) as unsent:
                lost = RuntimeError(f"{error or type(result)}: {unsent}")
                pipe.send_bytes(dumps((number, None, lost)))

    while True:
        try:
            call = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        pool.submit(run, *call)
