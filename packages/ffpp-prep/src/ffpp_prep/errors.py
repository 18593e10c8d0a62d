"""The errors that a user can cause, and the exit statuses that they lead to."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

__all__ = ["Damaged", "ExitStatus", "FatalError", "UserError"]


class ExitStatus(IntEnum):
    """What the `ffpp-prep` command returns to the shell."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    FATAL = 3
    BUG = 70  # as sysexits.h calls it: an internal software error
    INTERRUPTED = 130


class UserError(ValueError):
    """A wrong argument, folder or setting; the message is one line with the value seen and what is allowed."""


class Damaged(UserError):
    """A file whose bytes were read and aren't what was written; never one that couldn't be read.

    Args:
        path: the file.
        reason: what is wrong with it.
        remedy: what the user can do.
    """

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: damaged: {reason}; {remedy}")
        self.path, self.reason, self.remedy = path, reason, remedy

    def __reduce__(self) -> tuple[type[Damaged], tuple[Path, str, str]]:
        return type(self), (self.path, self.reason, self.remedy)  # worker processes send it


class FatalError(RuntimeError):
    """The run can't go on (a full disk, say); what was committed before stays valid."""
