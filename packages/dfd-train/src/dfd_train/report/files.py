"""Writing a page or table whole or not at all."""

from pathlib import Path

from ffpp_prep.format.files import replacing
from ffpp_prep.text.printable import printable


def write_text(path: Path, text: str) -> Path:
    """Writes UTF-8 `text` to `path`, whole or not at all; returns `path`.

    Names in it may come from outside: control characters besides line breaks and tabs are written out.
    """
    with replacing(path) as temporary:
        temporary.write_text(printable(text, keep="\r\n\t"), encoding="utf-8", newline="")
    return path
