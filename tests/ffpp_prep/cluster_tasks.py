"""Tasks for test_dask.py, in a module that the scheduler and its workers can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ffpp_prep.jobs import Beat


def work(task: tuple[str, str], beat: Beat) -> str:
    """What the task's name says; leaves a line with its process for each try."""
    name, log = task
    with Path(log).open("a") as file:
        file.write(f"{name} {os.getpid()}\n")
    if name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hang":
        time.sleep(120)
    if name == "slow":
        for _ in range(16):
            time.sleep(0.25)
            beat()
    if name == "endless":
        while True:
            time.sleep(0.25)
            beat()
    if name == "wrong":
        raise RuntimeError("this task is wrong")
    return name.upper()
