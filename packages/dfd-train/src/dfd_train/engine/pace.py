"""How long a run will take: said from its first batches, then after each epoch."""

from __future__ import annotations

import time

from ffpp_prep.text.units import duration_text

FIRST = 2  # batches that are not timed: they start loader processes and choose kernels
TIMED = 20  # batches, or
TIMED_S = 30.0


class Pace:
    """The speed of this process's own batches and epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._started = self._timed_from = time.monotonic()
        self._batches, self._said = 0, False
        self._epochs_done = 0.0

    def batch(self, epoch: int, of: int) -> str:
        """Counts a batch of an epoch `of` so many, and returns a line once, in the first epoch; otherwise ""."""
        now = time.monotonic()
        self._batches += 1
        self._epochs_done += 1 / of
        if self._batches == FIRST:
            self._timed_from = now
        timed, seconds = self._batches - FIRST, now - self._timed_from
        if self._said or timed < 1 or (timed < TIMED and seconds < TIMED_S):
            return ""
        self._said = True
        an_epoch = seconds / timed * of
        epochs = self._epochs - epoch + 1
        return (
            f"about {duration_text(an_epoch)} an epoch, {duration_text(an_epoch * epochs)} to the end of the run, "
            f"validation not counted ({seconds / timed:.2g} s a batch, from the first {timed})"
        )

    def left(self, epoch: int) -> str:
        """Returns the time left after an epoch and its validation; empty at the end, or if no batch was done here."""
        self._said = True  # from now on this says it
        if epoch >= self._epochs or not self._epochs_done:
            return ""
        seconds = (time.monotonic() - self._started) / self._epochs_done * (self._epochs - epoch)
        return f"  about {duration_text(seconds)} left"
