"""What the tables of a work folder were made with, and what a user can do where a file of it is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.checksums import parsed_json
from ffpp_prep.format.tables import read_metadata
from ffpp_prep.text.typed import typed

__all__ = ["check_made_of", "detection_settings", "remedy_of", "settings_of"]


def remedy_of(path: Path) -> str:
    """Returns what a user can do where this file of WORK is damaged, for a message."""
    if path.name == "videos.parquet":
        return f"scan again, with  ffpp-prep scan ROOT -o {typed(path.parent)}: boxes and crops stay"
    return f"run  ffpp-prep verify {typed(path.parent.parent)} --repair"


def settings_of(path: Path) -> dict[str, Any]:
    """Returns what a part of boxes or fakes was written with.

    Raises:
        Damaged: it isn't what was written.
        OSError: it can't be read.
    """
    remedy = remedy_of(path)
    settings = parsed_json(read_metadata(path, remedy).get(b"settings", b"{}"), path, remedy)
    if not isinstance(settings, dict):
        raise Damaged(path, f"its settings are {settings!r}, expected a mapping", remedy)
    return settings


def detection_settings(work: Path) -> dict[str, tuple[Any, ...]]:
    """Returns what `ffpp-prep boxes` was told for WORK, by the names of its settings; several values where
    parts differ.

    Raises:
        Damaged: a part isn't what was written.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted((work / "boxes").glob("videos-*.parquet")):
        for name, value in settings_of(path).items():
            if value not in found.get(name, ()):
                found[name] = (*found.get(name, ()), value)
    return found


def check_made_of(folder: Path, boxes: object) -> None:
    """Compares the fingerprint of the boxes that WORK/faces or WORK/fakes was made of with those that there are now.

    Raises:
        UserError: they differ.
    """
    work = folder.parent
    parts = sorted((work / "boxes").glob("videos-*.parquet"))  # of one fingerprint, all of them
    metadata = read_metadata(parts[0], remedy_of(parts[0])) if parts else {}
    now = metadata.get(b"fingerprint", b"").decode(errors="replace")
    if boxes and now and boxes != now:
        raise UserError(
            f"{folder} was made of other boxes than those in {work / 'boxes'}: "
            f"`ffpp-prep verify {typed(work)} --repair` removes it"
        )
