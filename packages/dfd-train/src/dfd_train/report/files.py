"""Writing a file whole or not at all."""

import os
import secrets
from pathlib import Path

from ffpp_prep.text.printable import printable


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 `text` beside `path`, sync it, and rename it into place; returns `path`.

    Names in it may come from outside: control characters besides line breaks and tabs are written out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:  # its rights follow the umask
            file.write(printable(text, keep="\r\n\t"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
