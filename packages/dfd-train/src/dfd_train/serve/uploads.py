"""What a browser sends, taken in: a name of an allowed kind, no more bytes than allowed, in blocks, to a file."""

from __future__ import annotations

import re
import shutil
from io import BufferedIOBase
from pathlib import Path

from dfd_train.predict.inputs import IMAGES, VIDEOS

BLOCK = 1 << 20
SPARE = 256 << 20  # bytes of disk to be left for results


class Refused(Exception):
    """An upload that is not taken; `status` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def safe_name(name: str) -> str:
    """A file name without folders or odd letters, whose ending is that of a video or image.

    Raises: Refused (415) for another ending.
    """
    plain = re.sub(r"[^\w.-]+", "_", re.split(r"[/\\]", name)[-1]).strip("._")[-100:]
    if Path(plain).suffix.lower() not in IMAGES | VIDEOS or not Path(plain).stem:
        kinds = " ".join(sorted(suffix.removeprefix(".") for suffix in IMAGES | VIDEOS))
        raise Refused(415, f"{name[:100]!r} is no video or image; allowed endings: {kinds}")
    return plain


def receive(stream: BufferedIOBase, length: int, limit: int, target: Path) -> None:
    """Write exactly `length` bytes of a stream to `target`; nothing stays of an upload that is cut short.

    Raises: Refused: empty (400), above `limit` (413), too large for the disk (507), or ended early (400).
    """
    if length <= 0:
        raise Refused(400, "the file is empty")
    if length > limit:
        raise Refused(413, f"{length / 1e6:,.0f} MB are above the limit of {limit / 1e6:,.0f} MB")
    target.parent.mkdir(parents=True)
    try:
        if length + SPARE > shutil.disk_usage(target.parent).free:
            raise Refused(507, "there is not enough space on the disk")
        left = length
        with target.open("xb") as file:
            while left:
                block = stream.read(min(BLOCK, left))
                if not block:
                    raise Refused(400, f"the upload ended {left} bytes early")
                file.write(block)
                left -= len(block)
    except BaseException:
        shutil.rmtree(target.parent, ignore_errors=True)
        raise
