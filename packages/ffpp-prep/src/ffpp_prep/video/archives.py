"""Folders of pictures inside tar archives, which are read from their beginning.

A path that goes on beyond an archive names a folder inside it: `real_train/12.tar.gz/12/real/3`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from ffpp_prep.machine import reading
from ffpp_prep.video.interface import OpenFailed, reason_of
from ffpp_prep.video.picture_names import is_picture
from ffpp_prep.video.places import is_file

__all__ = ["archive_of", "archived_folders", "archived_pictures", "archived_sizes", "is_archive"]

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_BYTES = 1 << 28  # of an archived folder, whose files are held as they are
FREE_BYTES, MOST_TIMES = 1 << 28, 64  # unpacked bytes of an archive: so many, and as many times its own
FREE_MEMBERS, BYTES_A_MEMBER = 10_000, 128  # packed; a picture has more
UNPACK = "unpack the archive"
FAULTS = (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError)


def is_archive(name: str) -> bool:
    """Returns whether a file's name has a tar archive's ending and isn't hidden."""
    return name.lower().endswith(ARCHIVE_ENDINGS) and not name.startswith(".")


def archive_of(path: Path) -> tuple[Path, str] | None:
    """Returns the archive that a path names or goes on beyond, and the folder inside it, "" for the archive's
    own root.
    """
    for above in (path, *path.parents):
        if is_archive(above.name) and is_file(above):
            return above, path.relative_to(above).as_posix().removeprefix(".")  # a dot is the archive itself
    return None


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


@lru_cache(maxsize=1)
def archived_sizes(archive: Path, _changed: int) -> dict[str, int]:
    """Returns the bytes of each folder's pictures, by the folders inside an archive."""
    sizes: dict[str, int] = {}
    for member in _members(archive):
        folder, _, name = _inner(member).rpartition("/")
        if is_picture(name):
            sizes[folder] = sizes.get(folder, 0) + member.size
    return sizes


def archived_pictures(archive: Path, inside: str) -> dict[str, bytes]:
    """Returns the bytes of the pictures in a folder of an archive, or of one picture, by their names.

    Raises:
        OpenFailed: it can't be read, or holds no such folder or more than MOST_BYTES.
    """
    held: dict[str, bytes] = {}
    room = MOST_BYTES
    for member, file in _contents(archive, inside):
        room -= member.size
        if room < 0:
            raise OpenFailed(f"{archive.name}: {inside} holds over {MOST_BYTES >> 20} MB; {UNPACK}")
        try:
            held[PurePosixPath(member.name).name] = file.read()
        except FAULTS as error:
            raise OpenFailed(f"{archive.name}: {reason_of(error)}") from error
    if not held:
        raise OpenFailed(f"{archive.name}: no pictures in its folder {inside or '.'}")
    return held


def _contents(archive: Path, inside: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.ExFileObject]]:
    for opened, member in _members_of(archive):
        whole = _inner(member)
        folder, _, name = whole.rpartition("/")
        if inside in (folder, whole) and is_picture(name):
            file = opened.extractfile(member)
            assert isinstance(file, tarfile.ExFileObject)
            yield member, file


def _members(archive: Path) -> Iterator[tarfile.TarInfo]:
    yield from (member for _, member in _members_of(archive))


def _members_of(archive: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yields the plain files of an archive, with what reads them; links and devices in it are nobody's frames."""
    try:
        with _unpacked(archive) as stream, tarfile.TarFile(fileobj=_Bounded(archive, stream)) as opened:  # type: ignore[arg-type]
            most = FREE_MEMBERS + archive.stat().st_size // BYTES_A_MEMBER
            for number, member in enumerate(opened):
                if number >= most:
                    raise OpenFailed(f"{archive.name}: more than {most:,} files; {UNPACK}")
                opened.members.clear()  # type: ignore[attr-defined]  # which it would keep
                if member.isreg():
                    yield opened, member
    except FAULTS as error:
        raise OpenFailed(f"{archive.name}: {reason_of(error)}") from error


def _unpacked(archive: Path) -> IO[bytes]:
    file = reading(archive)
    head = file.read(6)
    file.seek(0)
    for begins, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\0", lzma)):
        if head.startswith(begins):
            file.close()
            stream: IO[bytes] = module.open(archive)
            return stream
    return file


class _Bounded:
    """An archive's unpacked bytes, not many more than it has packed: pictures can't be packed much, bombs can."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self._name, self._stream = archive.name, stream
        self._most = FREE_BYTES + MOST_TIMES * archive.stat().st_size

    def read(self, size: int) -> bytes:
        """Reads so many bytes, at most as many as a folder may hold."""
        self._require(self._stream.tell() + size, size)
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        """Goes to a place, for which all before it is unpacked."""
        self._require(place, 0)
        return self._stream.seek(place)

    def tell(self) -> int:
        """Returns the present place."""
        return self._stream.tell()

    def _require(self, place: int, size: int) -> None:
        if place > self._most or size > MOST_BYTES:
            raise OpenFailed(
                f"{self._name}: it unpacks to over {min(self._most, MOST_BYTES) >> 20} MB; {UNPACK}"
            )


def _inner(member: tarfile.TarInfo) -> str:
    """Returns a member's name without what says nothing, `./` and double slashes."""
    return PurePosixPath(member.name.lstrip("/")).as_posix()
