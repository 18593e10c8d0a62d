"""How a command answers Ctrl-C and SIGTERM: by KeyboardInterrupt, wherever it is at work."""

from __future__ import annotations

import signal
from threading import Event, Timer, current_thread, main_thread
from types import FrameType

__all__ = ["answer_signals", "end_if_interrupted"]

AGAIN_SECONDS = 0.2
_asked = Event()  # signals are of the process: so is whether one came


def answer_signals() -> None:
    """Makes SIGTERM, as of `timeout` and batch schedulers, and SIGINT end the command by KeyboardInterrupt.

    A SIGINT that this process was started to ignore, as behind `nohup`, stays ignored. Does nothing in a thread.
    """
    if current_thread() is not main_thread():
        return
    _asked.clear()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def end_if_interrupted() -> None:
    """Raises KeyboardInterrupt where a signal came.

    A library in which it arrives may make another error of it, or none: what is recorded of a file then is wrong.
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.set()
    # what is raised while an object is taken down is printed and lost: the same signal comes again afterwards
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            again = Timer(AGAIN_SECONDS, _send, (number,))
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _send(number: int) -> None:
    """Sends a signal to the main thread, so that what it waits for ends."""
    ident = main_thread().ident
    if hasattr(signal, "pthread_kill") and ident is not None:
        signal.pthread_kill(ident, number)
    else:
        signal.raise_signal(number)
