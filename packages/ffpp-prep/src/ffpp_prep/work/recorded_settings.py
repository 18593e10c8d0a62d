"""The settings that parts and plans were written with: recorded, told by their fingerprint, compared with a run's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.checksums import parsed_json
from ffpp_prep.format.schemas import refuse_other_version

__all__ = ["as_typed", "fingerprint", "fingerprint_of", "recorded", "refuse_other_settings", "told"]


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is written of settings: empty text and None are not."""
    return {name: value for name, value in settings.items() if value not in ("", None)}


def fingerprint(settings: Any) -> str:
    """Returns the SHA-256 of a settings dataclass: equal settings, equal fingerprint.

    Empty text and None don't count, so that files of before a setting was recorded keep theirs.
    """
    return fingerprint_of(asdict(settings))


def fingerprint_of(settings: dict[str, Any]) -> str:
    """Returns the fingerprint of settings as they stand in a file."""
    return hashlib.sha256(json.dumps(recorded(settings), sort_keys=True).encode()).hexdigest()


def told(path: Path, metadata: dict[bytes, bytes], remedy: str) -> dict[str, Any]:
    """Returns the settings that a part was written with, by its metadata.

    Raises:
        UserError: it is of another format version.
        Damaged: there are none, or they don't match their fingerprint.
    """
    refuse_other_version(path, metadata)
    settings = parsed_json(metadata.get(b"settings", b""), path, remedy)
    if not isinstance(settings, dict) or fingerprint_of(settings).encode() != metadata.get(b"fingerprint"):
        raise Damaged(path, "its settings don't match their fingerprint", remedy)
    return settings


def refuse_other_settings(
    where: Path, before: dict[str, Any], now: Any, built_on: Sequence[Path] = ()
) -> None:
    """Compares stored settings with this run's.

    A field whose flag isn't its name has it in its metadata, as `flag`; what is typed where it is empty, as `empty`.
    `built_on`: folders to remove with `where`.

    Raises:
        UserError: they differ; the message names each difference as the user types it.
    """
    before, current = recorded(before), recorded(asdict(now))
    flags = {field.name: field.metadata["flag"] for field in fields(now) if "flag" in field.metadata}
    empty = {field.name: field.metadata["empty"] for field in fields(now) if "empty" in field.metadata}
    differing = [
        f"{flags.get(name, '--' + name.replace('_', '-'))} {before.get(name, empty.get(name))} "
        f"(now {current.get(name, empty.get(name))})"
        for name in sorted({*before, *current})
        if before.get(name) != current.get(name)
    ]
    if differing:
        remove = " and ".join(str(folder) for folder in (where, *built_on))
        raise UserError(
            f"{where} was written with {', '.join(differing)}; "
            f"use those settings again, another WORK folder, or remove {remove}"
        )


def as_typed(settings: Any) -> str:
    """Returns the options that give these settings, each with a blank before it; none where the flag is no option."""
    typed = ""
    for setting in fields(settings):
        flag = setting.metadata.get("flag", "--" + setting.name.replace("_", "-"))
        value = getattr(settings, setting.name)
        if value != setting.default and " " not in flag:
            typed += f" {flag}" if value is True else f" {flag} {value}"
    return typed
