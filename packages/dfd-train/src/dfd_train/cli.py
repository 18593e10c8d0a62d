"""The command `dfd-train`: finds the subcommand, runs it, turns faults into one line and an exit status."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from dfd_train import __version__
from dfd_train.commands import COMMANDS, SYNONYMS
from dfd_train.errors import TrainingError, caused_by_user
from ffpp_prep.command_line.interruption import answer_signals
from ffpp_prep.command_line.program import Program, build_parser, execute, typed
from ffpp_prep.errors import FatalError
from ffpp_prep.text.printable import printing, readable

PROGRAM = Program(
    name="dfd-train",
    version=__version__,
    description="Trains deepfake detectors, evaluates them, and scores videos.",
    statuses="exit status: 0 done, 1 some files or sets were left out, or a report is not as it was written, "
    "2 a mistake in the command, its files or its settings, 3 training cannot go on or the disk is full, "
    "70 a fault of the program, shown with its traceback, 130 interrupted",
    commands=COMMANDS,
    synonyms=SYNONYMS,
)
BUG = 70  # as sysexits.h calls it: an internal software error
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LOADER = "DataLoader worker"  # how torch's message of a loader process that died begins, and the loader's own
LOADER_REMEDY = "; memory or /dev/shm may be full: give fewer --workers, or docker run --shm-size 8g"


@printing()
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    options = build_parser(PROGRAM).parse_args(arguments)
    # before torch loads: OpenMP's waiting threads must not spin away the cores of the loader processes
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=readable(sys.stderr))
    try:
        answer_signals()
        return execute(options, logging.INFO)
    except KeyboardInterrupt:
        print("dfd-train: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if status := _status(error):
            text = _one_line(typed(error, options))
            remedy = LOADER_REMEDY if text.startswith(LOADER) else ""
            print(f"dfd-train: {text}{remedy}", file=readable(sys.stderr))
            return status
        traceback.print_exc(file=readable(sys.stderr))
        return BUG


def _status(error: Exception) -> int:
    """Returns the exit status of an error that a line says all of; 0 for a fault of the program."""
    if isinstance(error, FatalError | TrainingError):
        return 3
    if isinstance(error, RuntimeError) and str(error).startswith(LOADER):
        return 3  # a loader process that dies raises wherever the training process happens to be
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return 3
    return 2 if caused_by_user(error) else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
