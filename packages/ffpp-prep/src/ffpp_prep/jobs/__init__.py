"""Runs one function over many tasks, on this machine or on a Dask cluster, and survives workers that crash or hang.

A task that costs its worker is tried again, alone, and only one that fails alone is given up: so one bad video is
one video lost, whoever shared a worker with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ffpp_prep.jobs.interface import Beat, Lost, Result, Task, TaskOutcome

__all__ = ["Beat", "Lost", "TaskOutcome", "run_tasks"]


def run_tasks(
    function: Callable[[Task, Beat], Result],
    tasks: Sequence[Task],
    jobs: int = 1,
    timeout_s: float = 300.0,
    scheduler: str = "",
    threads: int = 1,
    devices: Sequence[str] = (),
    shared: Path | None = None,
    look: Callable[[], None] | None = None,
) -> Iterator[TaskOutcome[Task, Result]]:
    """Yields an outcome for each task, as they finish.

    Args:
        function: a top-level function of the task and of `beat`, which it calls at least every `timeout_s`.
        tasks: what to do; picklable.
        jobs: worker processes on this machine; a cluster has its own number.
        timeout_s: seconds without a beat after which a task counts as hanging.
        scheduler: address of a Dask scheduler (tcp://host:port); "" runs on this machine.
        threads: tasks that each worker process of this machine has at work at once, a thread each.
        devices: CUDA_VISIBLE_DEVICES of each of the `jobs` processes; empty leaves it as it is.
        shared: a folder that a cluster's workers must see as it is here.
        look: is called about twice a second while tasks are at work.

    Raises:
        ffpp_prep.errors.UserError: the scheduler doesn't answer, Dask isn't installed, or a worker sees another folder.
        ffpp_prep.errors.FatalError: the scheduler was lost, or had no workers for too long.
        Exception: what `function` raised; expected faults belong in its result.
    """
    if scheduler:
        from ffpp_prep.jobs.cluster import run_on_cluster

        return run_on_cluster(function, tasks, timeout_s, scheduler, shared, look)
    from ffpp_prep.jobs.local import run_here

    return run_here(function, tasks, jobs, timeout_s, threads, devices, look)
