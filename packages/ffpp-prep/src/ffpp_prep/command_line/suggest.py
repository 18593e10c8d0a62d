"""What a misspelt name, or another program's name for the same thing, was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

__all__ = ["did_you_mean", "listed", "plain"]


def plain(name: str) -> str:
    """Returns a name as people compare it: lower case, without dashes and underscores."""
    return name.lower().strip("-").replace("-", "").replace("_", "")


def did_you_mean(seen: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Returns the end of an error message: `; did you mean NAME?`, or nothing where no name is near.

    Args:
        seen: what was typed.
        known: the names that exist.
        synonyms: other words for them, in lower case without dashes and underscores.
    """
    by_lower = {name.lower(): name for name in known}
    meant = (synonyms or {}).get(plain(seen))
    if meant in by_lower.values():
        return f"; did you mean {meant}?"
    near = get_close_matches(seen.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def listed(meant: str, what: str, names: Iterable[str]) -> str:
    """Returns the rest of an error message: what was probably meant, then all names; `what` says which they are."""
    return f"{meant} {what.capitalize()}: {', '.join(names)}" if meant else f"; {what}: {', '.join(names)}"
