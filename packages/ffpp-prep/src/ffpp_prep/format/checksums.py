"""Files that say by themselves whether they are as they were written: JSON and zip files; tables are in `tables`.

A checksum inside the file can't be lost or grow old beside it. Files of before there was one are read as they are.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ffpp_prep.errors import Damaged
from ffpp_prep.format.files import crc32, write_json
from ffpp_prep.machine import content_of, reading

__all__ = [
    "KEY",
    "check_zip",
    "parsed_json",
    "read_checked_json",
    "with_checksum",
    "without_checksum",
    "write_checked_json",
]

KEY = "content_crc32"


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """Returns a JSON object, or a line of JSON lines, with the checksum of all else in it as its first entry."""
    return {KEY: _checksum(content), **content}


def without_checksum(content: Any, path: Path, remedy: str) -> dict[str, Any]:
    """Returns what `with_checksum` was given, compared with its checksum where there is one.

    Args:
        content: what `json.loads` returned.
        path: where it stands, for the message.
        remedy: what the user can do, for the message: it follows a semicolon.

    Raises:
        Damaged: no object, or not what was written.
    """
    if not isinstance(content, dict):
        raise Damaged(path, f"{type(content).__name__} where an object is expected", remedy)
    told = {name: value for name, value in content.items() if name != KEY}
    if KEY in content and content[KEY] != _checksum(told):
        raise Damaged(path, "its content doesn't match its checksum", remedy)
    return told


def write_checked_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an object with its checksum, whole or not at all."""
    write_json(path, with_checksum(content))


def read_checked_json(path: Path, remedy: str) -> dict[str, Any]:
    """Returns what `write_checked_json` was given; of an older file without checksum, what there is.

    Raises:
        Damaged: not JSON, or not what was written.
        OSError: it can't be read.
    """
    return without_checksum(parsed_json(content_of(path), path, remedy), path, remedy)


def parsed_json(text: bytes | str, path: Path, remedy: str) -> Any:
    """Returns the content of a JSON text that stands in `path`.

    Raises:
        Damaged: it isn't JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also text that isn't UTF-8
        raise Damaged(path, f"not readable as JSON ({' '.join(str(error).split())[:120]})", remedy) from error


def check_zip(path: Path, remedy: str) -> None:
    """Compares each member of a zip file, such as `torch.save` writes, with the CRC-32 that the file records of it.

    Raises:
        Damaged: not a zip file, not what was written, or with members that are compressed: they could be of any
            size.
        OSError: it can't be read.
    """
    try:
        with reading(path) as file, zipfile.ZipFile(file) as archive:
            size = file.seek(0, 2)
            for member in archive.infolist():
                if not 0 <= member.header_offset <= size - member.file_size or member.compress_type:
                    raise zipfile.BadZipFile(f"{member.filename} isn't stored within the file")
            if sum(member.file_size for member in archive.infolist()) > size:
                raise zipfile.BadZipFile("its parts overlap")
            wrong = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        raise Damaged(path, f"not readable ({' '.join(str(error).split())[:120]})", remedy) from error
    if wrong is not None:
        raise Damaged(path, f"its part {wrong} doesn't match its checksum", remedy)


def _checksum(content: dict[str, Any]) -> str:
    return f"{crc32(json.dumps(content, sort_keys=True).encode()):08x}"
