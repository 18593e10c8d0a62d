"""The prepared data set on disk, format version 1 (docs/format.md): schemas and readers; `work` writes the tables.

`load_prepared("work")` opens one, `iter_crops("work", split="test", frames=10)` goes through its faces. The names below
are public; docs/compatibility.md says when they may change. The modules hold:

- what a crop is: `geometry` (box to crop), `frames` (which ones), `codecs` (pixels to bytes)
- tables: `schemas` (columns, and the format's version), `records`, `tables` (Parquet that checks itself), `made_with`
- shards: `shard_writer`, and beside it `shard_reader` with `open_files` and `hdf5`; which there are: `manifest`
- reading a whole set: `prepared`, `box_reader`, `untouched`, `crops`
- files: `files` (whole or not there), `checksums` (JSON and zip that check themselves)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffpp_prep.format.codecs import codec
    from ffpp_prep.format.crops import Crop, choose_crops, iter_crops
    from ffpp_prep.format.files import whole_file
    from ffpp_prep.format.frames import dual_frames, evaluation_frames, various_frame
    from ffpp_prep.format.geometry import CropGeometry, cut_face, expanded_square
    from ffpp_prep.format.prepared import PreparedSet, load_prepared
    from ffpp_prep.format.schemas import FORMAT_VERSION
    from ffpp_prep.format.tables import read_table, write_table

__all__ = [
    "FORMAT_VERSION",
    "Crop",
    "CropGeometry",
    "PreparedSet",
    "choose_crops",
    "codec",
    "cut_face",
    "dual_frames",
    "evaluation_frames",
    "expanded_square",
    "iter_crops",
    "load_prepared",
    "read_table",
    "various_frame",
    "whole_file",
    "write_table",
]

_HOMES = {
    "FORMAT_VERSION": "schemas",
    "Crop": "crops",
    "CropGeometry": "geometry",
    "PreparedSet": "prepared",
    "choose_crops": "crops",
    "codec": "codecs",
    "cut_face": "geometry",
    "dual_frames": "frames",
    "evaluation_frames": "frames",
    "expanded_square": "geometry",
    "iter_crops": "crops",
    "load_prepared": "prepared",
    "read_table": "tables",
    "various_frame": "frames",
    "whole_file": "files",
    "write_table": "tables",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: whoever writes a small file should not wait for pandas, h5py and a decoder.
    if name not in _HOMES:
        raise AttributeError(f"module 'ffpp_prep.format' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"ffpp_prep.format.{_HOMES[name]}"), name)
