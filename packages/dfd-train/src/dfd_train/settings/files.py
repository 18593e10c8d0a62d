"""Files of settings: TOML that a person wrote, presets and recipes that come with the package, a run's own record."""

from __future__ import annotations

import codecs
import re
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_train.errors import UserError
from ffpp_prep.command_line.suggest import did_you_mean, listed
from ffpp_prep.errors import Damaged

PRESETS = Path(__file__).parent / "presets"
"""of the thesis's runs"""
RECIPES = Path(__file__).parent / "recipes"
"""of what the field trains today"""
MOST_BYTES = 1_000_000
_SEAL = re.compile(rb"# content_crc32: ([0-9a-f]{8})[^\n]*\n")
_REMEDY = "take it from a copy, or, if it was changed on purpose, remove its first line"


@dataclass(frozen=True)
class Preset:
    """A configuration that comes with the package."""

    name: str
    description: str
    """the comment in its first line"""


def find_config(path: Path) -> Path:
    """Returns the file, or where there is none of that name, the preset or recipe that comes with the package.

    Raises: FileNotFoundError listing them.
    """
    for file in (path, PRESETS / f"{path}.toml", RECIPES / f"{path}.toml"):
        if file.is_file():
            return file
    names = [preset.name for preset in (*presets(), *presets(RECIPES))]
    meant = did_you_mean(str(path), names)
    raise FileNotFoundError(f"no such configuration: {path}{listed(meant, 'presets', names)}")


def presets(folder: Path = PRESETS) -> Iterator[Preset]:
    """Yields the presets of the thesis's runs, by name, or the recipes."""
    for file in sorted(folder.glob("*.toml")):
        first_line = file.read_text(encoding="utf-8").partition("\n")[0]
        yield Preset(file.stem, first_line.removeprefix("#").strip())


def sealed(text: str) -> bytes:
    """Returns TOML text below a comment with its checksum; `text` begins with a comment or an empty line."""
    return b"# content_crc32: %08x (a record: in a copy to be changed, remove this line)\n%b" % (
        zlib.crc32(text.encode()),
        text.encode(),
    )


def read_config(path: Path, what: str = "configuration", most: int = MOST_BYTES) -> dict[str, Any]:
    """Returns the tables of a TOML file, not yet checked for what `build_config` checks.

    Raises: FileNotFoundError; UserError if it is not TOML, larger than `most` bytes, or not what `sealed` made.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise UserError(f"{path} is no {what}: allowed are {most:,} bytes")
        content = content.removeprefix(codecs.BOM_UTF8)  # of Windows's editors
        seal = _SEAL.match(content)
        if seal is not None and int(seal[1], 16) != zlib.crc32(content[seal.end() :]):
            raise Damaged(path, "its content doesn't match its checksum", _REMEDY)
        return tomllib.loads(content.decode())
    except FileNotFoundError:
        raise FileNotFoundError(f"no such {what}: {path}") from None
    except UserError:
        raise
    except RecursionError:
        raise UserError(f"{path} is not TOML: too many brackets in one another") from None
    except ValueError as error:  # of TOML, of UTF-8, of a number with thousands of figures
        raise UserError(f"{path} is not TOML: {error}; mend that place, or take it from a copy") from None
