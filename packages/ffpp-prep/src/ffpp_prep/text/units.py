"""Durations, sizes and counts as a person reads them."""

from __future__ import annotations

__all__ = ["counted", "duration_text", "plural", "size_text"]


def duration_text(seconds: float) -> str:
    """Returns a time as `45 s`, `12 min`, `3.5 h` or `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size_text(size: float) -> str:
    """Returns a size as `12.3 kB`, `45.6 MB`, `1.23 GB` or `4.56 TB`, in powers of ten."""
    for unit, power, digits in (("kB", 3, 1), ("MB", 6, 1), ("GB", 9, 2)):
        if size < 999.5 * 10**power:
            return f"{size / 10**power:.{digits}f} {unit}"
    return f"{size / 1e12:.2f} TB"


def counted(number: int, word: str) -> str:
    """Returns a number of things: 1 frame, 2 frames, 1,000 frames."""
    return f"{number:,} {plural(number, word)}"


def plural(number: int, word: str) -> str:
    """Returns the word for so many things: frame, frames; batch, batches; epoch, epochs; entry, entries."""
    if number == 1:
        return word
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}{'es' if word.endswith(('s', 'x', 'tch', 'sh')) else 's'}"
