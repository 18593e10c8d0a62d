"""How a run can end early. Mistakes of the person at the keyboard are ValueError and FileNotFoundError."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: the run stopped cleanly, with a checkpoint."""


class TrainingError(RuntimeError):
    """Computing cannot go on, for a reason that a person should read."""
