"""Which files are one file under several names, without reading all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ffpp_prep.machine import reading
from ffpp_prep.text.bars import bar
from ffpp_prep.video import VideoError
from ffpp_prep.video.frame_folder import content_digest, content_size, is_of_pictures

EDGE = 1 << 16  # bytes at both ends that are compared before a whole file is read


def same_content(paths: pd.Series, side: pd.Series) -> tuple[pd.Series, int, int]:
    """Returns what tells equal files of different sides: a SHA-256, or the path where two rows name one that
    can't be read.

    Only files of equal size are opened, and only those with equal ends are read whole.

    Args:
        paths: of each video.
        side: of each video; files whose like stands on the same side only are left out.

    Returns:
        the value, equal for equal files, by the index of `paths`; how many files were compared; how many can't be read.
    """
    sizes = paths.map(_size)
    unread = int(sizes.isna().sum())
    gone = paths[sizes.isna()]
    values = gone[_on_several_sides(gone, side)]
    left = sizes[sizes > 0]
    left = left[_on_several_sides(left, side)]
    compared = len(left)
    for read in (_ends, _whole):
        found, failed = _digests(paths[left.index], read)
        unread += failed
        left = found[_on_several_sides(found, side)]
    return pd.concat([values, left]), compared, unread


def _on_several_sides(value: pd.Series, side: pd.Series) -> pd.Series:
    """Returns whether a row's value stands on more than one side."""
    return side.loc[value.index].groupby(value).transform("nunique") > 1


def _digests(paths: pd.Series, digest: Callable[[Path], str]) -> tuple[pd.Series, int]:
    """Returns the digests of those that can be read, and how many can't."""
    found, failed = {}, 0
    for row, path in bar(paths.items(), "content", len(paths), unit="file", shown=len(paths) > 8):
        try:
            found[row] = digest(Path(path))
        except OSError:
            failed += 1
    return pd.Series(found, dtype=object), failed


def _ends(path: Path) -> str:
    if is_of_pictures(path):
        return content_digest(path)
    with reading(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        first = file.read(EDGE)
        file.seek(max(0, size - EDGE))
        return hashlib.sha256(b"%d " % size + first + file.read(EDGE)).hexdigest()


def _whole(path: Path) -> str:
    if is_of_pictures(path):
        return content_digest(path)
    with reading(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: str) -> float | None:
    try:
        return float(content_size(Path(path)))
    except (OSError, ValueError, VideoError):
        return None
