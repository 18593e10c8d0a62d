"""Opening a shard that may come from anywhere: what it holds lies in the file itself, and is no larger than that."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from ffpp_prep.errors import Damaged

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


def open_shard(path: Path, remedy: str) -> h5py.File:
    """Opens a shard for reading, without locking: a committed one never changes.

    Raises:
        Damaged: not a shard, or one that names other files, or data that can't be in this one.
        OSError: it can't be read.
    """
    size = path.stat().st_size
    try:
        file = h5py.File(path, "r", locking=False)
        try:
            _check(file, size)
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


def _check(file: h5py.File, size: int) -> None:
    rows = {name: _rows(file, name, kind, size) for name, kind in (PER_CROP | PER_VIDEO | OTHER).items()}
    crops, videos = rows["frame"], rows["videos/id"]
    if {rows[name] for name in PER_CROP} != {crops} or {rows[name] for name in PER_VIDEO} != {videos}:
        raise ValueError("its datasets are of different lengths")
    if rows["offsets"] != crops + 1:
        raise ValueError(f"{rows['offsets']} offsets of {crops} crops")
    offsets = file["offsets"][:]
    if offsets[0] != 0 or offsets[-1] != rows["blob"] or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError("its offsets don't divide its blob")
    if crops and file["video"][:].max() >= videos:
        raise ValueError("crops of a video that it doesn't list")


def _rows(file: h5py.File, name: str, kind: Kind, size: int) -> int:
    """The length of a dataset, which lies in the file as it is."""
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
