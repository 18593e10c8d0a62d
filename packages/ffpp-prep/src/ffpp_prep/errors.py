"""The errors that a user can cause, and the exit statuses that they lead to."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What the `ffpp-prep` command returns to the shell."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    FATAL = 3
    INTERRUPTED = 130


class UserError(ValueError):
    """A wrong argument, folder or setting; the message is one line with the value seen and what is allowed."""


class FatalError(RuntimeError):
    """The run can't go on (a full disk, say); what was committed before stays valid."""
