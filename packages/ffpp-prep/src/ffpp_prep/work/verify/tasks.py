"""Checks in several processes, with a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.text.bars import bar

Task = TypeVar("Task")
Result = TypeVar("Result")


def each(
    check: Callable[[Task, Beat], Result], tasks: Sequence[Task], jobs: int, unit: str
) -> Iterator[tuple[Task, Result | str]]:
    """Yields each task with what its check found, as it comes; or, where its process died or hung twice, with why."""
    with bar(total=len(tasks), unit=unit, desc="verify", shown=bool(tasks)) as progress:
        if jobs == 1 or len(tasks) < 2:
            for task in tasks:
                yield task, check(task, lambda: None)
                progress.update()
            return
        for outcome in run_tasks(check, tasks, jobs):
            if outcome.lost is not None:
                yield outcome.task, outcome.lost.error
            else:
                yield outcome.task, cast("Result", outcome.result)  # None is one: a shard that isn't written
            progress.update()
