"""Results of one video each: made whatever the video holds, then counted, shown, and committed part by part."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

import pyarrow as pa

from ffpp_prep.jobs import Lost, TaskOutcome
from ffpp_prep.text.printable import printable
from ffpp_prep.work.parts import VideoResult, storable
from ffpp_prep.work.progress import ProgressBar

# A part is committed when either is reached, so a kill costs at most a minute's work.
PART_SECONDS, PART_ROWS = 60.0, 500_000


class CountedResult(VideoResult, Protocol):
    """A result with what the progress bar counts; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def status(self) -> str:
        """How the video's task went, one of the format's statuses."""
        ...

    @property
    def error(self) -> str:
        """Why the status isn't ok, in one line."""
        ...

    @property
    def frames_decoded(self) -> int:
        """How many frames were looked at."""
        ...


Task = TypeVar("Task")
Result = TypeVar("Result", bound=CountedResult)


def recorded(find: Callable[[], Result], failed: Callable[[str], Result], schema: pa.Schema) -> Result:
    """Does one video's work, and makes whatever a hostile video provokes that video's row, not the run's end.

    Args:
        find: the work.
        failed: makes the result of a video that failed for this reason.
        schema: of the videos' own rows; a result that these can't hold is a failure too.
    """
    try:
        found = find()
    except Exception as error:
        found = failed(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return storable(replace(found, error=printable(found.error)), schema, failed)


def collect(
    outcomes: Iterable[TaskOutcome[Task, Result]],
    given_up: Callable[[Task, Lost], Result],
    commit: Callable[[list[Result]], None],
    bar: ProgressBar,
    statuses: Counter[str],
    part_rows: int = PART_ROWS,
) -> int:
    """Commits results at least every minute, and what is finished when the run is interrupted.

    Args:
        outcomes: as they come.
        given_up: makes the result of a task that cost its worker.
        commit: writes one part.
        bar: advanced by one for each result.
        statuses: counts results by status; added to.
        part_rows: after so many rows a part is committed before its minute is over.

    Returns:
        the frames decoded.
    """
    frames = rows = 0
    part: list[Result] = []
    started = committed = time.monotonic()

    def flush() -> None:
        nonlocal committed, rows
        if part:
            commit(part)
            part.clear()
        committed, rows = time.monotonic(), 0

    try:
        for outcome in outcomes:
            result = outcome.result
            if result is None:
                assert outcome.lost is not None
                result = given_up(outcome.task, outcome.lost)
            part.append(result)
            statuses[result.status] += 1
            frames += result.frames_decoded
            rows += result.rows.num_rows if result.rows is not None else 0
            rate = frames / (time.monotonic() - started)
            counts = ", ".join(f"{n:,} {s}" for s, n in sorted(statuses.items()))
            bar.advance(1, f"{rate:.1f} frames/s, {counts}")
            if time.monotonic() - committed > PART_SECONDS or rows > part_rows:
                flush()
    finally:  # an interrupted run keeps what it finished
        flush()
    return frames
