"""Text from outside (names of files, titles, values of tables) as it may stand in a terminal, a page or a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

__all__ = ["printable", "printing", "readable"]

# Control characters, line separators, marks that turn the direction of writing, bytes that are no UTF-8.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ANY = re.compile(f"[{_HIDDEN}]")


def printable(text: str, keep: str = "") -> str:
    r"""Returns the text with everything written out that steers a terminal or hides what a name is.

    Control characters (ESC too), line separators and marks that turn the direction of writing become `\x1b` or
    `\u202e`; a byte that is no UTF-8, as Linux allows in names, becomes `\xe9`. Letters of every script stay.

    Args:
        text: anything; what Python makes of a name that is no UTF-8 (surrogates) too.
        keep: control characters that are meant, such as a line break.
    """
    return _ANY.sub(lambda found: found[0] if found[0] in keep else _written_out(found[0]), text)


class _Readable:
    """A text stream that gets only what is printable, in letters that its encoding has."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        shown = printable(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(shown)
        return len(text)


def readable(stream: TextIO) -> TextIO:
    """Returns the stream for messages: names in what is written to it can neither steer a terminal nor fail."""
    return _Readable(stream)  # type: ignore[return-value]


@contextmanager
def printing() -> Iterator[None]:
    """Sends what is printed meanwhile through `readable`. Around a command, or as its decorator."""
    with redirect_stdout(readable(sys.stdout)):
        yield


def _written_out(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
