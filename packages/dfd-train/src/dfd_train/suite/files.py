"""Where suites are, and what files are called that are made of their names. Nothing here loads what is heavy."""

from __future__ import annotations

import re
from pathlib import Path

from ffpp_prep.command_line.suggest import did_you_mean, listed

SUITES = Path(__file__).parent / "suites"


def file_name(text: str) -> str:
    """Returns a name as a part of a file's: small letters, figures and hyphens."""
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-_")


def find_suite(path: Path) -> Path:
    """Returns the file, or where there is none of that name, the suite that comes with the package.

    Raises: FileNotFoundError listing those.
    """
    for file in (path, SUITES / f"{path}.toml"):
        if file.is_file():
            return file
    names = suite_names()
    meant = did_you_mean(str(path), names)
    raise FileNotFoundError(f"no such suite: {path}{listed(meant, 'suites of the package', names)}")


def suite_names() -> list[str]:
    """Returns the suites that come with the package."""
    return [file.stem for file in sorted(SUITES.glob("*.toml"))]
