"""What lies at a path that a table names. pathlib raises where a name is too long or a folder may not be entered."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_anything", "is_file", "is_folder"]


def is_anything(path: Path) -> bool:
    """Returns whether something lies there that can be reached."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Returns whether a plain file lies there that can be reached."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Returns whether a folder lies there that can be reached."""
    return os.path.isdir(path)  # noqa: PTH112
