"""Videos that lie on a disk as pictures: a folder of frames, such a folder in a tar archive, a picture by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from stat import S_ISREG
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.text.units import counted
from ffpp_prep.video.archives import archive_of, archived_pictures, archived_sizes
from ffpp_prep.video.budget import MAX_FRAME_PIXELS, Budget, too_large
from ffpp_prep.video.interface import DecodeFailed, Frame, OpenFailed, VideoInfo, reason_of
from ffpp_prep.video.photographs import as_rgb, opened
from ffpp_prep.video.picture_names import is_picture, ordered
from ffpp_prep.video.places import is_anything, is_folder

__all__ = ["PictureReader", "content_digest", "content_size", "is_of_pictures", "is_there", "read_picture"]


@dataclass(frozen=True)
class _Picture:
    """One picture: its name, its number among the frames, and where it lies, or its bytes."""

    name: str
    number: int
    path: Path
    content: bytes | None
    size: int


class PictureReader:
    """The pictures of a folder as the frames of a video, in the order of their numbers; see `VideoReader`.

    `Frame.pts` is the number in a picture's name, where each has one of its own, else its place in the order. A picture
    that can't be read is counted and passed over. Nothing is known of their times.

    Args:
        path: a folder, a folder inside a tar archive, or one picture.

    Raises:
        OpenFailed: there is no such thing, or no picture in it.
    """

    def __init__(self, path: Path) -> None:
        self.frames_decoded = 0
        self.error = self.remark = ""
        self._pictures = _pictures(path)
        if not self._pictures:
            raise OpenFailed(f"{path.name}: no picture in this folder")
        self._budget = Budget(sum(picture.size for picture in self._pictures))

    @property
    def info(self) -> VideoInfo:
        """How many pictures there are; their size is told by each."""
        return VideoInfo(0, 0, 0.0, len(self._pictures))

    def match(self, size: tuple[int, int]) -> None:
        """Does nothing: pictures are as large as they are."""

    def __enter__(self) -> PictureReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        lost, reason = 0, ""
        for one in self._pictures:
            self._budget.start()
            try:
                picture = _read(one)
            except UserError as error:
                lost, reason = lost + 1, reason or str(error)
                self._budget.stop()
                continue
            self._budget.stop()
            height, width = picture.shape[:2]
            self._budget.decoded(width * height)
            self._budget.used()
            index = self.frames_decoded
            self.frames_decoded += 1
            yield Frame(index, one.number, partial(np.asarray, picture), timed=False, size=(width, height))
            if spent := self._budget.exceeded(self.frames_decoded):
                self.error = spent
                return
        if lost:
            self.error = f"{lost:,} of {counted(len(self._pictures), 'picture')} could not be read: {reason}"


def read_picture(path: Path, frame: int, number: int | None = None) -> NDArray[np.uint8]:
    """Returns picture number `frame` of those that can be read, or the one with this number of its own, (H,
    W, 3) uint8 RGB.

    Raises:
        OpenFailed: there is no such folder or picture.
        DecodeFailed: it has no such frame.
    """
    if number is not None:
        for one in _pictures(path):
            if one.number == number:
                try:
                    return _read(one)
                except UserError as error:
                    raise DecodeFailed(str(error)) from None
        raise DecodeFailed(f"{path} has no picture of number {number}")
    for read in PictureReader(path):
        if read.index == frame:
            return read.rgb()
    raise DecodeFailed(f"{path} has no frame {frame}")


def is_of_pictures(path: Path) -> bool:
    """Returns whether a path means pictures: a file with the ending of one, a folder, or a folder inside an archive."""
    return is_picture(path.name) or is_folder(path) or archive_of(path) is not None


def is_there(path: Path) -> bool:
    """Returns whether a video lies at a path: a file, a folder, or a folder inside an archive, which itself
    is not read.
    """
    return is_anything(path) or archive_of(path) is not None


def content_size(path: Path) -> int:
    """Returns bytes of a file, or of all pictures of a folder.

    Raises:
        OSError: it can't be read.
    """
    found = archive_of(path)
    if found is not None:
        archive, inside = found
        return archived_sizes(archive, archive.stat().st_mtime_ns).get(inside, 0)
    if is_folder(path):
        return sum(picture.size for picture in _in_folder(path))
    return path.stat().st_size


def content_digest(path: Path) -> str:
    """Returns the SHA-256 of all pictures of a folder, one after the other.

    Raises:
        OSError: one can't be read.
    """
    digest = hashlib.sha256()
    try:
        for picture in _pictures(path):
            digest.update(picture.path.read_bytes() if picture.content is None else picture.content)
    except OpenFailed as error:
        raise OSError(str(error)) from None
    return digest.hexdigest()


def _read(one: _Picture) -> NDArray[np.uint8]:
    with opened(one.path, one.content) as image:
        if refusal := too_large(*image.size, MAX_FRAME_PIXELS):
            raise UserError(f"{one.name}: {refusal}")
        return as_rgb(image)


def _pictures(path: Path) -> list[_Picture]:
    """Returns what lies at a path, in the order of its numbers."""
    try:
        if is_folder(path):
            return _in_folder(path)
        if found := archive_of(path):
            archive, inside = found
            return _in_archive(archive, inside, archive.stat().st_mtime_ns)
        found_there = path.stat()
        if not S_ISREG(found_there.st_mode):  # reading a pipe would wait for ever
            raise OpenFailed(f"{path.name}: no such file")
        return [_Picture(path.name, 0, path, None, found_there.st_size)]
    except FileNotFoundError:
        raise OpenFailed(f"{path.name}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise OpenFailed(f"{path.name}: {reason_of(error)}") from error


def _in_folder(path: Path) -> list[_Picture]:
    files = {file.name: file for file in path.iterdir() if is_picture(file.name) and file.is_file()}
    return [
        _Picture(name, number, files[name], None, files[name].stat().st_size)
        for name, number in ordered(list(files))
    ]


@lru_cache(maxsize=2)  # crops of one folder are cut one by one, and an archive is read from its beginning
def _in_archive(archive: Path, inside: str, _changed: int) -> list[_Picture]:
    held = archived_pictures(archive, inside)
    folder = archive / inside
    return [
        _Picture(name, number, folder if is_picture(inside) else folder / name, held[name], len(held[name]))
        for name, number in ordered(list(held))
    ]
