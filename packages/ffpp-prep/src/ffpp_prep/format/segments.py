"""Fakes of a part of a film: which seconds are altered, as a text in `videos.parquet`, and so which frames.

The text holds the times in seconds, rising: `1.2-2.35 3-4.1`. An empty one means that the whole film is altered, or
real.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from ffpp_prep.errors import UserError

__all__ = ["Ranges", "altered_frames", "frame_at", "pairs_in", "segments_text"]

Ranges = tuple[tuple[int, int], ...]
"""Frames from the first up to, but not including, the second; rising, and apart from each other."""

_NUMBER = r"\d+(?:\.\d+)?"
_TEXT = re.compile(rf"{_NUMBER}-{_NUMBER}(?: {_NUMBER}-{_NUMBER})*")
LATEST = 1e6  # seconds, eleven days: what a list says beyond is no time of a film


def segments_text(segments: Iterable[Sequence[float]]) -> str:
    """Returns pairs of times as the text that `videos.parquet` holds; joined where they touch.

    Args:
        segments: start and end in seconds, in any order.

    Raises:
        UserError: something else than pairs of times, or an end that isn't behind its start.
    """
    pairs = []
    for segment in segments:
        try:
            start, end = (float(time) for time in segment)
        except (TypeError, ValueError):
            raise UserError(f"segment {segment!r}: must be two times in seconds") from None
        if not 0 <= start < end <= LATEST or math.isnan(start + end):
            raise UserError(f"segment {segment!r}: must be two times in seconds, the second behind the first")
        pairs.append((start, end))
    joined: list[tuple[float, float]] = []
    for start, end in sorted(pairs):
        if joined and start <= joined[-1][1]:
            before = joined.pop()
            start, end = before[0], max(before[1], end)
        joined.append((start, end))
    return " ".join(f"{_plain(start)}-{_plain(end)}" for start, end in joined)


def altered_frames(text: str, fps: float, length: int) -> Ranges | None:
    """Returns the frames of a fake that are altered.

    A frame counts if the middle of the time for which it is shown lies in a segment; a segment between two middles has
    the frame that is shown then.

    Args:
        text: as `segments_text` writes it; "" for a fake that is altered from its first frame to its last.
        fps: frames a second; 0 where the file doesn't tell.
        length: how many frames the video has.

    Returns:
        None for all frames: without segments, or where `fps` isn't known. Empty where the segments lie behind the last
        frame, as in a file that was cut off.

    Raises:
        UserError: the text isn't one of segments.
    """
    if not text:
        return None
    pairs = pairs_in(text)
    if not 0 < fps < math.inf:
        return None
    found: list[tuple[int, int]] = []
    for start, end in pairs:
        first = math.ceil(start * fps - 0.5)
        stop = math.ceil(end * fps - 0.5)
        if stop <= first:
            first = int((start + end) / 2 * fps)
            stop = first + 1
        first, stop = max(first, found[-1][1] if found else 0), min(stop, length)
        if first < stop:
            found.append((first, stop))
    return tuple(found)


def pairs_in(text: str) -> list[tuple[float, float]]:
    """Returns the times that a text of segments holds. Raises: UserError: it is none."""
    if not _TEXT.fullmatch(text):
        raise UserError(f"fake_segments={text[:80]!r}: must be times in seconds, such as 1.2-2.35 3-4.1")
    ends = (segment.split("-") for segment in text.split(" "))
    return [(min(float(start), LATEST), min(float(end), LATEST)) for start, end in ends]


def frame_at(ranges: Ranges, index: int) -> int:
    """Returns the frame that is the `index`-th, from 0, of those in `ranges`."""
    for first, stop in ranges:
        if index < stop - first:
            return first + index
        index -= stop - first
    raise IndexError(index)


def _plain(time: float) -> str:
    """Returns a time to a tenth of a millisecond, without needless digits."""
    return f"{time:.4f}".rstrip("0").rstrip(".")
