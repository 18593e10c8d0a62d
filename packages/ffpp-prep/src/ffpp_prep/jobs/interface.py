"""What goes into a runner and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Beat = Callable[[], None]


@dataclass(frozen=True)
class Lost:
    """Why a task has no result: its worker crashed or hung, and did so again when it ran alone."""

    status: Literal["crashed", "timeout"]
    error: str


@dataclass(frozen=True)
class TaskOutcome(Generic[Task, Result]):
    """A task with its result, or with why there is none."""

    task: Task
    result: Result | None
    lost: Lost | None = None
