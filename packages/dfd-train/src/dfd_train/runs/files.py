"""Files of a run, written whole or not at all by `ffpp_prep.format.files`; errors name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ffpp_prep.format import files


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that its name only ever holds the old or the new content, whole."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yields a binary file, `with replacing(path) as file`, that takes the place of `path` when the block ends well.

    Raises: OSError naming `path` where it can't be written, as on a full disk; what was there before stays.
    """
    # closing writes what is left, and can fail too
    with naming(path), files.replacing(path) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file in errors of writing; the system names it only where opening fails."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch hides why it couldn't write behind an error of its own
        reason = error.__context__ if isinstance(error, RuntimeError) else error
        if not isinstance(reason, OSError):
            raise
        if reason.errno is not None and reason.filename is None:
            reason.filename = str(path)
        raise reason from None
