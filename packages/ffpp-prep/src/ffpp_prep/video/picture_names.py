"""What the names of pictures say: which files are some, and the order of a video's frames."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ffpp_prep.video.photographs import PICTURE_ENDINGS

__all__ = ["is_numbered", "is_picture", "ordered"]

LARGEST_NUMBER = 2**31 - 1


def is_picture(name: str) -> bool:
    """Returns whether a file's name has a picture's ending and isn't hidden."""
    return PurePosixPath(name).suffix.lower() in PICTURE_ENDINGS and not name.startswith(".")


def is_numbered(names: list[str], fewest: int = 2) -> bool:
    """Returns whether these pictures are one video's frames by their names: several, each with a number of its own."""
    return len(names) >= fewest and _numbers(names) is not None


def ordered(names: list[str]) -> list[tuple[str, int]]:
    """Returns names in the order of the numbers in them, each with its own number or, without such, its place."""
    names = sorted(names, key=_natural)
    numbers = _numbers(names)
    return list(zip(names, range(len(names)) if numbers is None else numbers, strict=True))


def _numbers(names: list[str]) -> list[int] | None:
    """Returns the number that ends each name, where these are all different and the names are alike else."""
    found = [re.fullmatch(r"(.*?)(\d+)", PurePosixPath(name).stem, re.ASCII | re.DOTALL) for name in names]
    matches = [match for match in found if match]
    if len(matches) < len(names) or len({match[1] for match in matches}) > 1:
        return None
    numbers = [int(match[2]) for match in matches if len(match[2]) < 20]
    if len(set(numbers)) < len(names) or max(numbers, default=0) > LARGEST_NUMBER:
        return None
    return numbers


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `frame2` before `frame10`."""
    parts = re.findall(r"\d+|\D+", name, re.ASCII)
    return tuple(
        (0, int(part[:4000]), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in parts
    )
