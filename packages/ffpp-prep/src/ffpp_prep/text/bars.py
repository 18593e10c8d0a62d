"""How far something long is: a bar in a terminal or a notebook, and a line a minute wherever else it is written to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm as auto
from tqdm.std import tqdm

from ffpp_prep.text.units import duration_text, plural

__all__ = ["bar"]

LINE_S = 60.0
_IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in auto.__mro__)


def bar(
    iterable: Iterable[Any] | None = None,
    desc: str = "",
    total: float | None = None,
    *,
    unit: str = "item",
    shown: bool = True,
    leave: bool = True,
    **settings: Any,
) -> tqdm[Any]:
    """Returns tqdm's bar, or what stands in for it without a terminal; nothing is shown with `--quiet`.

    Args:
        iterable: what is gone through, as for tqdm.
        desc: what is done.
        total: how much there is; None: the iterable's length, or unknown.
        unit: what is counted, in the singular.
        shown: whether anything is shown at all.
        leave: whether a bar stays when it is done.
        settings: tqdm's own.
    """
    shown = shown and not getattr(sys.stderr, "quiet", False)
    if shown and not _IN_NOTEBOOK and not sys.stderr.isatty():
        return _Lines(iterable, desc, total, unit=unit, **settings)
    own = f" {unit}" if settings.get("bar_format") else unit
    made = auto(iterable, desc, total, unit=own, leave=leave, disable=not shown, **settings)
    made.initial = getattr(made, "initial", 0)  # which tqdm lacks where nothing is shown
    return made


class _Lines(tqdm):  # type: ignore[misc,type-arg]
    """Says a line a minute, none where it takes no minute."""

    monitor_interval = 0  # no thread: it would be one too many where processes are forked
    last_print_t = 0.0  # before the first line

    def __init__(
        self, iterable: Iterable[Any] | None, desc: str, total: float | None, **settings: Any
    ) -> None:
        given = {"mininterval": LINE_S, "maxinterval": LINE_S, "miniters": 1, "delay": LINE_S, "leave": False}
        super().__init__(iterable, desc, total, **{**settings, **given, "file": sys.stderr})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Writes the bar's line."""
        sys.stderr.write(f"{self.line()}\n")
        sys.stderr.flush()

    def refresh(self, nolock: bool = False, lock_args: Any = None) -> None:
        """Writes the line where it is due: not after each line that is printed above a bar, nor when it begins anew."""
        if not nolock and self._time() - self.last_print_t >= self.mininterval:
            self.display()
            self.last_print_t = self._time()

    def clear(self, nolock: bool = False) -> None:
        """Does nothing: whole lines stay."""

    def line(self) -> str:
        """Returns how far it is, and how long it will take."""
        done, total = round(self.n), None if self.total is None else round(self.total)
        if not total:
            parts = [f"{done:,} {plural(done, self.unit)}"]
        else:
            parts = [f"{done:,} of {total:,} {plural(total, self.unit)}", f"{100 * done / total:.0f} %"]
            seconds = self.format_dict["elapsed"]
            if self.n > self.initial:
                left = seconds * (total - done) / (self.n - self.initial)
                parts.append(f"about {duration_text(left)} left")
        parts += [self.postfix] if self.postfix else []
        return f"{self.desc.removesuffix(': ')}: {', '.join(parts)}"

    def close(self) -> None:
        """Ends it; there is nothing to wipe away."""
        self.last_print_t = 0.0
        super().close()
