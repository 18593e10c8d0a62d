"""What runs are called where several stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfd_train.errors import UserError
from ffpp_prep.text.printable import printable


def run_names(runs: Sequence[Path]) -> list[str]:
    """Returns the names of the runs' folders. Raises: UserError where two are equal."""
    names = [printable(run.resolve().name) for run in runs]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(f"two runs are called {doubled[0]!r}: the folders' names tell them apart, rename one")
    return names
