"""Pictures that look like the frames of a film, each of which `predict` scores by itself: what to do with them instead.

A camera numbers its photographs too, and makes them equally large, so nothing is decided for the person here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from dfd_train.errors import UserError
from dfd_train.predict.inputs import IMAGES, Input
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted
from ffpp_prep.video.photographs import opened
from ffpp_prep.video.picture_names import is_numbered, ordered

__all__ = ["film_notes"]

FEWEST = 8  # pictures that a film has


def film_notes(files: Iterable[Input]) -> Iterator[str]:
    """Yields a line on each folder whose pictures have consecutive numbers, and the same size as far as looked at."""
    folders: dict[tuple[Path, str], list[str]] = {}
    for file in files:
        if file.path.suffix.lower() in IMAGES:
            folders.setdefault((file.path.parent, file.path.suffix), []).append(file.path.name)
    for (folder, ending), names in folders.items():
        if len(names) < FEWEST or not is_numbered(names):
            continue
        frames = ordered(names)
        first, last = frames[0][1], frames[-1][1]
        pattern = _pattern(frames, ending)
        if (
            last - first + 1 == len(frames)
            and pattern
            and _equally_large(folder, [name for name, _ in frames])
        ):
            film = shlex.quote(printable(f"{folder.name}.mkv"))
            source = shlex.quote(printable(str(folder / pattern)))
            yield (
                f"{printable(str(folder))}: {counted(len(frames), 'picture')}, numbered {first} to {last}, each with "
                f"an answer of its own. If they are a film's frames, score the film:  ffmpeg -framerate 25 "
                f"-start_number {first} -i {source} -c:v ffv1 {film}"
            )


def _pattern(frames: list[tuple[str, int]], ending: str) -> str:
    """Returns the names as printf writes them; "" where they are written in several ways."""
    name = frames[0][0]
    digits = re.search(r"\d+$", name.removesuffix(ending), re.ASCII)
    if digits is None:
        return ""
    padded = f"%0{len(digits[0])}d" if digits[0][0] == "0" and len(digits[0]) > 1 else "%d"
    pattern = f"{name[: digits.start()].replace('%', '%%')}{padded}{ending}"
    return pattern if all(pattern % number == name for name, number in frames) else ""


def _equally_large(folder: Path, names: list[str]) -> bool:
    """Returns whether the first, the middle and the last picture are; one that can't be opened isn't."""
    sizes = set()
    try:
        for name in (names[0], names[len(names) // 2], names[-1]):
            with opened(folder / name) as picture:
                sizes.add(picture.size)
    except (UserError, OSError):
        return False
    return len(sizes) == 1
