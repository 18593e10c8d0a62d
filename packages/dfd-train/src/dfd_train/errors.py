"""How a run can end early. Mistakes of the person at the keyboard are ValueError and FileNotFoundError."""


def first_line(error: Exception) -> str:
    """What an error of another library says, in one line that is not too long; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: the run stopped cleanly, with a checkpoint."""


class TrainingError(RuntimeError):
    """Computing cannot go on, for a reason that a person should read."""
