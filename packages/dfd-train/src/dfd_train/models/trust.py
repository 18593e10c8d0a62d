"""Code that a file of someone else's names: it is imported only where the person at the keyboard names it too."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from dfd_train.errors import UserError


def names_function(model: str) -> bool:
    """Returns whether a model's name is `package.module:function`, code that whoever builds it imports and calls."""
    return ":" in model and not model.startswith("timm:")


def check_trust(file: Path, models: Iterable[str], trust: Sequence[str]) -> None:
    """Refuses the functions that a file names as its networks, except those in `trust`. Raises: ValueError."""
    for name in models:
        if names_function(name) and name not in trust:
            shown = shlex.quote(name.encode("unicode_escape").decode())  # one line, whatever the file says
            raise UserError(
                f"{file} wants to run the function {shown}, which may do anything; "
                f"if you know it, allow it: --trust {shown}"
            )
