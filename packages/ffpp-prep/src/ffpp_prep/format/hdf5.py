"""Opening a shard that may come from anywhere: what it holds lies in the file itself, and is no larger than that."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import h5py
import numpy as np

from ffpp_prep.errors import Damaged
from ffpp_prep.format.files import crc32
from ffpp_prep.machine import reading

__all__ = ["EVERY", "OTHER", "PER_CROP", "PER_VIDEO", "Kind", "check_index", "open_shard"]

# name -> type, shape beyond the first axis; see docs/format.md
Kind = tuple[str, tuple[int, ...]]
PER_CROP: dict[str, Kind] = {
    "shape": ("i4", (2,)),
    "video": ("u4", ()),
    "frame": ("i4", ()),
    "pts": ("i8", ()),
    "face": ("i1", ()),
    "box": ("f4", (4,)),
    "score": ("f4", ()),
    "label": ("u1", ()),
    "crc32": ("u4", ()),
}
PER_VIDEO: dict[str, Kind] = {
    "videos/id": ("S", ()),
    "videos/method": ("S", ()),
    "videos/original_id": ("S", ()),
    "videos/label": ("u1", ()),
    "videos/start": ("u8", ()),
    "videos/count": ("u8", ()),
}
OTHER: dict[str, Kind] = {"blob": ("u1", ()), "offsets": ("u8", ())}
EVERY = tuple(PER_CROP | PER_VIDEO | OTHER)


def open_shard(path: Path, remedy: str, names: Collection[str] = EVERY) -> h5py.File:
    """Opens a shard for reading, without locking: a committed one never changes.

    Args:
        path: the file.
        remedy: what the user can do where it is damaged, for the message.
        names: the datasets that will be read; among them are offsets, blob, video and videos/id.

    Raises:
        Damaged: not a shard, or one that names other files, or data that can't be in this one.
        OSError: it can't be read.
    """
    with reading(path) as stored:
        size = stored.seek(0, 2)
    try:
        file = _open(path)
        try:
            _check(file, size, names)
        except BaseException:
            file.close()
            raise
        return file
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        number = re.search(
            r"errno = (\d+)", reason
        )  # HDF5 tells the system's errors from its own by this only
        if isinstance(error, OSError) and (error.errno is not None or number):
            raise OSError(error.errno or int(number[1] if number else 0), reason, str(path)) from error
        raise Damaged(
            path, f"not readable as a shard ({reason.removeprefix(f'{path}: ')})", remedy
        ) from error


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")  # this process has it open already, with locking: HDF5 wants both alike


def check_index(path: Path, blob: tuple[int, int], recorded: int, remedy: str) -> None:
    """Compares all of a shard but its crops with the checksum that its summary has of it.

    Raises:
        Damaged: they differ.
        OSError: the file can't be read.
    """
    if blob[1] > path.stat().st_size:
        raise Damaged(path, "its crops would be beyond its end", remedy)
    with reading(path) as file:
        value = crc32(file.read(blob[0]))
        file.seek(blob[1])
        value = crc32(file.read(), value)
    if value != recorded:
        raise Damaged(path, "its index doesn't match its checksum", remedy)


def _check(file: h5py.File, size: int, names: Collection[str]) -> None:
    for name in file.attrs:
        if np.ndim(file.attrs[name]):
            raise ValueError(f"its attribute {name} is no single value")
    kinds = PER_CROP | PER_VIDEO | OTHER
    rows = {name: _rows(file, name, kinds[name], size) for name in names}
    crops, videos = rows["video"], rows["videos/id"]
    if any(rows[name] != (crops if name in PER_CROP else videos) for name in names if name not in OTHER):
        raise ValueError("its datasets are of different lengths")
    if rows["offsets"] != crops + 1:
        raise ValueError(f"{rows['offsets']} offsets of {crops} crops")
    offsets = file["offsets"][:]
    if offsets[0] != 0 or offsets[-1] != rows["blob"] or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError("its offsets don't divide its blob")
    if crops and file["video"][:].max() >= videos:
        raise ValueError("crops of a video that it doesn't list")


def _rows(file: h5py.File, name: str, kind: Kind, size: int) -> int:
    """Returns the length of a dataset, which lies in the file as it is."""
    dtype, tail = kind
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{name} is no dataset of its own, but a link to another place")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    made = dataset.id.get_create_plist()
    if made.get_layout() != h5py.h5d.CONTIGUOUS or made.get_external_count() or made.get_nfilters():
        raise ValueError(f"{name} isn't stored in the file as it is")
    right = dataset.dtype.kind == "S" if dtype == "S" else dataset.dtype == np.dtype(dtype)
    if not right or dataset.ndim != 1 + len(tail) or dataset.shape[1:] != tail:
        raise ValueError(f"{name} is {dataset.dtype} of shape {dataset.shape}")
    needed = dataset.size * dataset.dtype.itemsize
    place = dataset.id.get_offset()
    if needed and (place is None or place + needed > size):
        raise ValueError(f"{name} would be {needed} bytes in a file of {size}")
    return int(dataset.shape[0])
