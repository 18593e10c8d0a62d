"""What a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(seen: str, known: Iterable[str]) -> str:
    """The end of an error message: `; did you mean NAME?`, or nothing where no name is near."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(seen.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def listed(meant: str, what: str, names: Iterable[str]) -> str:
    """The rest of an error message: what was probably meant first, then all names; `what` says which they are."""
    return f"{meant} {what.capitalize()}: {', '.join(names)}" if meant else f"; {what}: {', '.join(names)}"
