"""Stored face crops: random access to the HDF5 shards of a prepared data set.

Where a crop's bytes stand in its file is read once, when the set is opened, with their checksum and shape; reading a
crop is then one read at that place. A store holds no open file when it is pickled or forked into a loader process:
files open lazily, once a process (committed shards never change).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ffpp_prep.errors import Damaged
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.hdf5 import check_index, open_shard
from ffpp_prep.format.made_with import check_made_of, remedy_of
from ffpp_prep.format.manifest import MANIFEST, ListedShard, read_manifest
from ffpp_prep.format.open_files import OpenFiles
from ffpp_prep.format.schemas import refuse_version

__all__ = ["PLACE", "CropStore", "Number"]

# Where a crop stands: 32 bytes each, 35 MB for 1.1 million; forked loader processes share it
PLACE = np.dtype(
    [("start", "u8"), ("size", "u4"), ("crc32", "u4"), ("shard", "i4"), ("height", "i4"), ("width", "i4")]
)

Number = TypeVar("Number", int, npt.NDArray[np.int64])

_READ = ("blob", "offsets", "shape", "crc32", "video", "frame", "face", "videos/id")


class CropStore:
    """The crops of `WORK/faces`, found by (video row, frame, face).

    Raises (on construction): UserError where the manifest or a shard cannot be read or has another format version, or
    where WORK/boxes has other boxes than the crops were cut out by.
    """

    def __init__(self, faces: Path, video_ids: pd.Index) -> None:
        """`faces` is the folder of the shards; `video_ids` gives each video its row."""
        manifest = read_manifest(faces / MANIFEST)
        check_made_of(faces, manifest.boxes)
        self.fingerprint = manifest.header.fingerprint
        self.geometry = manifest.header.geometry
        self._codec = manifest.header.codec
        self.lossless = codec(self._codec).lossless
        self._paths = [faces / shard.file for shard in manifest.shards]
        self._files = OpenFiles(self._paths)
        self._keys, self._places = self._build_index(video_ids, manifest.shards)

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, video: int, frame: int, face: int = 0) -> bool:
        """Returns whether the crop is stored."""
        return self._find(video, frame, face) is not None

    def has_each(self, spots: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Returns whether the first face's crop is stored of each (video row, frame), (N, 2)."""
        rows, frames = spots.astype(np.int64).T
        found: npt.NDArray[np.bool_] = np.isin(_key(rows, frames, np.zeros_like(rows)), self._keys)
        return found

    def stored_frames(self, video: int, face: int = 0) -> npt.NDArray[np.int32]:
        """Returns the frames of a video whose crop is stored, ascending."""
        start, stop = np.searchsorted(self._keys, [_key(video, 0, 0), _key(video + 1, 0, 0)])
        keys = self._keys[start:stop]
        frames: npt.NDArray[np.int32] = ((keys >> 8) & 0xFFFFFFFF)[(keys & 0xFF) == face].astype(np.int32)
        return frames

    def read(self, video: int, frame: int, face: int = 0) -> Image | None:
        """Returns the crop, uint8 (H, W, 3) RGB, or None where it is not stored.

        Raises: UserError where the stored bytes do not match their checksum.
        """
        found = self._find(video, frame, face)
        if found is None:
            return None
        place = self._places[found]
        shard, shape = int(place["shard"]), (int(place["height"]), int(place["width"]))
        encoded = self._files.read(shard, int(place["start"]), int(place["size"]))
        where, remedy = f"the crop at byte {place['start']}", remedy_of(self._paths[shard])
        if zlib.crc32(encoded) != place["crc32"]:
            raise Damaged(self._paths[shard], f"{where} doesn't match its checksum", remedy)
        try:
            return codec(self._codec).decode(encoded, *shape)
        except (
            ValueError
        ) as error:  # of another size than recorded, say: it is never decoded to see how large
            reason = f"{where} can't be decoded: {' '.join(str(error).split())}"
            raise Damaged(self._paths[shard], reason, remedy) from None

    def _find(self, video: int, frame: int, face: int) -> int | None:
        key = _key(video, frame, face)
        position = int(np.searchsorted(self._keys, key))
        return position if position < len(self._keys) and self._keys[position] == key else None

    def _build_index(
        self, video_ids: pd.Index, shards: Sequence[ListedShard]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
        keys, places = [np.empty(0, np.int64)], [np.empty(0, PLACE)]
        for number, path in enumerate(self._paths):
            ids, video, frame, face, place = _read_index(path, shards[number])
            rows = video_ids.get_indexer(ids)[video]
            known = rows >= 0  # a shard may hold videos that a newer scan no longer lists
            keys.append(_key(rows.astype(np.int64), frame.astype(np.int64), face.astype(np.int64))[known])
            place["shard"] = number
            places.append(place[known])
        joined = np.concatenate(keys)
        order = np.argsort(joined, kind="stable")
        return joined[order], np.concatenate(places)[order]


def _key(video: Number, frame: Number, face: Number) -> Number:
    return (video << 40) + (frame << 8) + face


def _read_index(
    path: Path, listed: ListedShard
) -> tuple[list[str], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.void]]:
    """Returns the ids of the shard's videos; of each crop its video, frame and face, and its place in the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is listed in the manifest but missing; {remedy_of(path)}")
    if listed.index_crc32 is not None:
        check_index(path, listed.blob, listed.index_crc32, remedy_of(path))
    with open_shard(path, remedy_of(path), _READ) as file:
        refuse_version(path, file.attrs.get("format_version"))
        ids = [name.decode(errors="replace") for name in file["videos/id"][:]]
        offsets, begin = file["offsets"][:], file["blob"].id.get_offset() or 0
        place = np.zeros(len(offsets) - 1, PLACE)
        place["start"], place["size"] = offsets[:-1] + np.uint64(begin), np.diff(offsets)
        place["crc32"] = file["crc32"][:]
        place["height"], place["width"] = file["shape"][:].T
        return ids, file["video"][:], file["frame"][:], file["face"][:], place
