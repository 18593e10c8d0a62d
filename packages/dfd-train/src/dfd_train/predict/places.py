"""Text that leaves the machine without saying where on it something lay."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# two folders and more from a root, where no blank is in them
_PATH = re.compile(r"(?<![\w.:/\\])(?:/|[A-Za-z]:[/\\])(?:[^\s/\\'\"<>|:,;]+[/\\])+([^\s/\\'\"<>|:,;]*)")


def without_places(text: str, *paths: Path) -> str:
    """Returns a message or traceback whose paths have lost their folders: of a module's the package's name stays.

    paths: files that it may be about, whose folders may have any name; of others, a folder with a blank in its name
    that is neither home nor where the command was given would leave its end.
    """
    folders = {os.fspath(form.parent) for path in paths for form in (path, _absolute(path))}
    for folder in sorted(folders | _own_folders(), key=len, reverse=True):
        if Path(folder).parent != Path(folder):
            text = text.replace(f"{folder}{os.sep}", "")
    return _PATH.sub(r"\1", text)


def _absolute(path: Path) -> Path:
    return Path(os.path.realpath(path))


@cache
def _own_folders() -> frozenset[str]:
    """Returns the folders in which this program, its libraries and its user live."""
    return frozenset(_existing())


def _existing() -> Iterator[str]:
    for place in (*sys.path, sys.prefix, sys.base_prefix, tempfile.gettempdir(), os.path.expanduser("~")):  # noqa: PTH111
        if Path(place).is_absolute():
            yield os.path.abspath(place)  # noqa: PTH100
            yield os.path.realpath(place)
    yield os.getcwd()  # noqa: PTH109
