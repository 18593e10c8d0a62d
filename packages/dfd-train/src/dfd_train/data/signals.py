"""Signals and loader processes: Ctrl-C and SIGTERM reach a whole group of processes, and only the training one answers.

Where a process can ask who sent it a signal (Linux), SIGTERM of the training process alone still ends a loader
process: it is blocked from the start and waited for by a thread. Elsewhere loader processes leave the group.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from typing import Any

__all__ = ["children_block_sigterm", "deaths_are_expected", "only_the_parent_ends"]


@contextmanager
def children_block_sigterm() -> Iterator[None]:
    """Keeps SIGTERM from processes that are started inside the block, until they call `only_the_parent_ends`."""
    if not hasattr(signal, "sigwaitinfo"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def only_the_parent_ends(_: Any = None) -> None:
    """Keeps a signal to the whole group from ending a loader process, which calls this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        Thread(target=_end_when_told, args=(os.getppid(),), daemon=True).start()
    elif hasattr(os, "setpgrp"):
        os.setpgrp()


def deaths_are_expected() -> None:
    """Makes torch raise no error from now on for a loader process that ends."""
    if current_thread() is main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _end_when_told(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        continue
    os._exit(0)
