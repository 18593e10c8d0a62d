"""Several files at once, each in a process of its own, which loads the models anew."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from dfd_train.predict.batch import Done, Job, Stages, failed, predict_file
from dfd_train.predict.inputs import Input
from ffpp_prep.machine import cores

LOOK_S = 5.0
Task = tuple[Input, Path]
"""a file and the folder of its answer"""

_job: Job  # of a worker process


def predict_at_once(
    tasks: Sequence[Task], make: Callable[[], Job], job: Job, jobs: int, look: Callable[[], object]
) -> Iterator[Done]:
    """Yields the answers of several processes, as they come.

    A process that dies, of a library's crash or for want of memory, takes only the files in hand with it: each is tried
    again alone, and one at which a process dies again gets that as its answer.

    make: makes the job in a worker; can be pickled. job: the same in this process, for such answers.
    look: is called every few seconds while files are being scored.
    """
    left, suspects = deque(tasks), deque[Task]()
    while left or suspects:
        alone = bool(suspects)
        own = deque([suspects.popleft()]) if alone else left
        try:
            yield from _through_a_pool(own, make, 1 if alone else jobs, look)
        except _Died as died:
            if alone:
                ((file, folder),) = died.in_hand
                yield failed(
                    file,
                    folder,
                    job,
                    RuntimeError("the process that scored it died; was there enough memory?"),
                )
            else:
                suspects.extend(died.in_hand)


class _Died(Exception):
    """A worker process is gone."""

    def __init__(self, in_hand: Sequence[Task]) -> None:
        super().__init__()
        self.in_hand = in_hand


def _through_a_pool(
    tasks: deque[Task], make: Callable[[], Job], jobs: int, look: Callable[[], object]
) -> Iterator[Done]:
    """Takes tasks from the left, no more than there are workers at a time, so that it is known what is in hand."""
    running: dict[Future[Done], Task] = {}
    with _pool(make, jobs) as pool:
        while tasks or running:
            while tasks and len(running) < jobs:
                task = tasks.popleft()
                try:
                    running[pool.submit(_predict, *task)] = task
                except BrokenProcessPool:
                    raise _Died([task, *running.values()]) from None
            ended, _ = wait(running, LOOK_S, FIRST_COMPLETED)
            look()
            in_hand = list(running.values())
            for future in ended:
                try:
                    done = future.result()
                except BrokenProcessPool:
                    raise _Died(in_hand) from None
                in_hand.remove(running.pop(future))
                yield done


@contextmanager
def _pool(make: Callable[[], Job], jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yields the workers, which are ended at once where the block is left by an exception."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # threads and CUDA don't survive a fork
    pool = ProcessPoolExecutor(jobs, context, _begin, (make, max(1, cores() // jobs)))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _begin(make: Callable[[], Job], threads: int) -> None:
    """Makes a worker ready: Ctrl-C is answered by its parent, whose end is its own too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    import torch

    torch.set_num_threads(threads)
    global _job  # a worker has one
    _job = make()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _predict(file: Input, folder: Path) -> Done:
    return predict_file(file, folder, _job, Stages())
