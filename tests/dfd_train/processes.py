"""Processes that a command starts, watched from outside, where any of them may end at any moment."""

import subprocess
import time
from collections.abc import Callable

import psutil
from forked import Forked

GONE = "gone"


def state(process: psutil.Process) -> str:
    """What psutil calls its status; GONE where nothing of it is left to ask."""
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return GONE


def words(process: psutil.Process) -> str:
    """Its command line; empty where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def alive(process: psutil.Process) -> bool:
    return state(process) not in (GONE, psutil.STATUS_ZOMBIE)


def children(process: subprocess.Popen[str] | Forked) -> list[psutil.Process]:
    """Those it has now; some are not its workers, since libraries start others that end at once."""
    try:
        return psutil.Process(process.pid).children()
    except psutil.NoSuchProcess:
        return []


def wait_for_children(
    process: subprocess.Popen[str],
    fits: Callable[[psutil.Process], bool],
    number: int = 1,
    within: float = 120.0,
) -> list[psutil.Process]:
    """Its children that fit, as soon as there are that many."""
    deadline = time.monotonic() + within
    while len(found := [child for child in children(process) if fits(child)]) < number:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, [(state(child), words(child)) for child in children(process)]
        time.sleep(0.1)
    return found
