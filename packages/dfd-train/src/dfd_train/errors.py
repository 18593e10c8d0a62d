"""How a command can end early. A person's mistakes are UserError and OSError; everything else is a bug."""

from __future__ import annotations

import sys

from ffpp_prep.errors import UserError

__all__ = ["Interrupted", "NotANumber", "TrainingError", "UserError", "caused_by_user", "first_line"]


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: the run stopped cleanly, with a checkpoint."""


class TrainingError(RuntimeError):
    """Computing cannot go on, for a reason that a person should read."""


class NotANumber(TrainingError):
    """A network gives NaN, infinity or an overflow in place of a logit: there is no score, whatever it is shown."""


def caused_by_user(error: BaseException) -> bool:
    """Returns whether a person can mend this: a UserError of one of our packages, or a file that can't be had."""
    networks = sys.modules.get("reseption_models.errors")  # not loaded: then it isn't theirs
    return isinstance(error, UserError | OSError) or (
        networks is not None and isinstance(error, networks.UserError)
    )


def first_line(error: Exception) -> str:
    """Returns what an error of another library says, in one line that is not too long; its type where it says
    nothing.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
