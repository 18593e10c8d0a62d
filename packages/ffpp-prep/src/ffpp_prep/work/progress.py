"""How far a run is: a bar for whoever watches it, and WORK/progress.json for `ffpp-prep status` elsewhere."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from ffpp_prep.format.checksums import read_checked_json, write_checked_json
from ffpp_prep.text.bars import bar

WRITE_S = 5.0


@dataclass(frozen=True)
class Progress:
    """Where the latest run of a stage stood at the Unix time `updated`."""

    stage: str
    unit: str
    done: int
    total: int
    seconds: float
    updated: float
    detail: str = ""

    @property
    def rate(self) -> float:
        """Units a second over the whole run."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The time left at this rate; None as long as nothing is done."""
        return (self.total - self.done) / self.rate if self.done else None


class ProgressBar:
    """A bar, without a terminal a line a minute, that writes WORK/progress.json every few seconds and at its end."""

    def __init__(self, work: Path, stage: str, total: int, unit: str) -> None:
        self._path = work / "progress.json"
        self._stage = stage
        self._bar = bar(total=total, unit=unit, desc=stage, smoothing=0.05, shown=total > 0)
        self._total, self._unit = total, unit
        self._done = 0
        self._detail = ""
        self._started = self._written = time.monotonic()

    def __enter__(self) -> ProgressBar:
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._write()

    def look(self) -> None:
        """Says how far the run is while nothing more is done, for instance during a long film."""
        if time.monotonic() - self._written > WRITE_S:
            self._write()
            self._bar.refresh()

    def advance(self, units: int, detail: str = "") -> None:
        """Counts `units` more as done; `detail` is shown beside them."""
        self._done += units
        self._detail = detail
        self._bar.set_postfix_str(detail, refresh=False)
        self._bar.update(units)
        if time.monotonic() - self._written > WRITE_S:
            self._write()

    def _write(self) -> None:
        if self._total:
            self._written = time.monotonic()
            seconds, now = self._written - self._started, time.time()
            state = Progress(self._stage, self._unit, self._done, self._total, seconds, now, self._detail)
            write_checked_json(self._path, asdict(state))


def read_progress(work: Path) -> Progress | None:
    """Returns what the latest run left; None where there is nothing readable."""
    try:
        return Progress(**read_checked_json(work / "progress.json", ""))
    except (OSError, ValueError, TypeError):
        return None
