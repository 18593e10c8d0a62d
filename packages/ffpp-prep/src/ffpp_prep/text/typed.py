"""Words of a command as a person types them, for messages that say what to run."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

__all__ = ["typed"]


def typed(word: str | Path) -> str:
    """Returns a path as it is typed in a shell: in quotes where it holds blanks or signs that mean something there.

    One that begins with a hyphen would be taken for an option.
    """
    text = str(word)
    text = f"./{text}" if text.startswith("-") else text
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)
