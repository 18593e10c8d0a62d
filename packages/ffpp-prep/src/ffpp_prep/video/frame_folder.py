"""Videos that lie on a disk as pictures: a folder of frames, such a folder inside a tar archive, a picture by itself.

A path that goes on beyond an archive names a folder inside it: `real_train/12.tar.gz/12/real/3`.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.text.units import counted
from ffpp_prep.video.budget import MAX_FRAME_PIXELS, Budget, too_large
from ffpp_prep.video.interface import DecodeFailed, Frame, OpenFailed, VideoInfo, reason_of
from ffpp_prep.video.photographs import PICTURE_ENDINGS, as_rgb, opened
from ffpp_prep.video.places import is_anything, is_file, is_folder

__all__ = [
    "PictureReader",
    "archived_folders",
    "content_digest",
    "content_size",
    "is_archive",
    "is_numbered",
    "is_of_pictures",
    "is_picture",
    "is_there",
    "read_picture",
]

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_BYTES = 1 << 28  # of an archived folder, whose files are held as they are
FAULTS = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)
LARGEST_NUMBER = 2**31 - 1


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
            self.error = f"{lost} of {counted(len(self._pictures), 'picture')} could not be read: {reason}"


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
    return is_picture(path.name) or is_folder(path) or _archive_of(path) is not None


def is_there(path: Path) -> bool:
    """Returns whether a video lies at a path: a file, a folder, or a folder inside an archive, which itself
    is not read.
    """
    return is_anything(path) or _archive_of(path) is not None


def is_picture(name: str) -> bool:
    """Returns whether a file's name has a picture's ending and isn't hidden."""
    return PurePosixPath(name).suffix.lower() in PICTURE_ENDINGS and not name.startswith(".")


def is_archive(name: str) -> bool:
    """Returns whether a file's name has a tar archive's ending and isn't hidden."""
    return name.lower().endswith(ARCHIVE_ENDINGS) and not name.startswith(".")


def is_numbered(names: list[str]) -> bool:
    """Returns whether these pictures are one video's frames by their names: several, each with a number of its own."""
    return len(names) > 1 and _numbers(names) is not None


def archived_folders(archive: Path) -> dict[str, list[str]]:
    """Returns the folders inside an archive that hold pictures, as POSIX paths, each with their names.

    Raises:
        OpenFailed: it can't be read.
    """
    found: dict[str, list[str]] = {}
    for member in _members(archive):
        folder, _, name = _inner(member).rpartition("/")
        if is_picture(name):
            found.setdefault(folder, []).append(name)
    return found


def content_size(path: Path) -> int:
    """Returns bytes of a file, or of all pictures of a folder.

    Raises:
        OSError: it can't be read.
    """
    found = _archive_of(path)
    if found is not None:
        archive, inside = found
        return _sizes(archive, archive.stat().st_mtime_ns).get(inside, 0)
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
        if found := _archive_of(path):
            archive, inside = found
            return _in_archive(archive, inside, archive.stat().st_mtime_ns)
        return [_Picture(path.name, 0, path, None, path.stat().st_size)]
    except FileNotFoundError:
        raise OpenFailed(f"{path.name}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise OpenFailed(f"{path.name}: {reason_of(error)}") from error


def _in_folder(path: Path) -> list[_Picture]:
    files = {file.name: file for file in path.iterdir() if is_picture(file.name) and file.is_file()}
    return [
        _Picture(name, number, files[name], None, files[name].stat().st_size)
        for name, number in _ordered(list(files))
    ]


@lru_cache(maxsize=2)  # crops of one folder are cut one by one, and an archive is read from its beginning
def _in_archive(archive: Path, inside: str, _changed: int) -> list[_Picture]:
    held: dict[str, bytes] = {}
    room = MOST_BYTES
    for member, file in _contents(archive, inside):
        room -= member.size
        if room < 0:
            raise OpenFailed(f"{archive.name}: {inside} holds over {MOST_BYTES >> 20} MB; unpack the archive")
        try:
            held[PurePosixPath(member.name).name] = file.read()
        except FAULTS as error:
            raise OpenFailed(f"{archive.name}: {reason_of(error)}") from error
    if not held:
        raise OpenFailed(f"{archive.name}: no pictures in its folder {inside or '.'}")
    folder = archive / inside
    return [
        _Picture(name, number, folder if is_picture(inside) else folder / name, held[name], len(held[name]))
        for name, number in _ordered(list(held))
    ]


@lru_cache(maxsize=1)
def _sizes(archive: Path, _changed: int) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for member in _members(archive):
        folder, _, name = _inner(member).rpartition("/")
        if is_picture(name):
            sizes[folder] = sizes.get(folder, 0) + member.size
    return sizes


def _contents(archive: Path, inside: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.ExFileObject]]:
    try:
        with tarfile.open(archive) as opened_archive:
            for member in opened_archive:
                whole = _inner(member)
                folder, _, name = whole.rpartition("/")
                if inside in (folder, whole) and is_picture(name) and member.isreg():
                    file = opened_archive.extractfile(member)
                    assert isinstance(file, tarfile.ExFileObject)
                    yield member, file
    except FAULTS as error:
        raise OpenFailed(f"{archive.name}: {reason_of(error)}") from error


def _members(archive: Path) -> Iterator[tarfile.TarInfo]:
    """Yields the plain files of an archive; links and devices in it are nobody's frames."""
    try:
        with tarfile.open(archive) as opened_archive:
            yield from (member for member in opened_archive if member.isreg())
    except FAULTS as error:
        raise OpenFailed(f"{archive.name}: {reason_of(error)}") from error


def _inner(member: tarfile.TarInfo) -> str:
    """Returns a member's name without what says nothing, `./` and double slashes."""
    return PurePosixPath(member.name.lstrip("/")).as_posix()


def _archive_of(path: Path) -> tuple[Path, str] | None:
    """Returns the archive that a path names or goes on beyond, and the folder inside it, "" for the archive's
    own root.
    """
    for above in (path, *path.parents):
        if is_archive(above.name) and is_file(above):
            return above, path.relative_to(above).as_posix().removeprefix(".")  # a dot is the archive itself
    return None


def _ordered(names: list[str]) -> list[tuple[str, int]]:
    """Returns names in the order of the numbers in them, each with its own number or, without such, its place."""
    names = sorted(names, key=_natural)
    numbers = _numbers(names)
    return list(zip(names, range(len(names)) if numbers is None else numbers, strict=True))


def _numbers(names: list[str]) -> list[int] | None:
    """Returns the number that ends each name, where these are all different and the names are alike else."""
    found = [re.fullmatch(r"(.*?)(\d+)", PurePosixPath(name).stem, re.ASCII | re.DOTALL) for name in names]
    matches = [match for match in found if match]
    if len(matches) < len(names) or len({match[1] for match in matches}) > 1:
        return None
    numbers = [int(match[2]) for match in matches if len(match[2]) < 20]
    if len(set(numbers)) < len(names) or max(numbers, default=0) > LARGEST_NUMBER:
        return None
    return numbers


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `frame2` before `frame10`."""
    parts = re.findall(r"\d+|\D+", name, re.ASCII)
    return tuple(
        (0, int(part[:4000]), "") if part.isdigit() and part.isascii() else (1, 0, part) for part in parts
    )
