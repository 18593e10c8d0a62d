"""Files of a prepared set, read by ffpp-prep's own rules: checksums are compared, sizes bounded, links not followed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pyarrow as pa

from dfd_train.errors import UserError
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json
from ffpp_prep.format.hdf5 import check_index, open_shard
from ffpp_prep.format.tables import read_metadata, read_table


def checked_table(
    path: Path, schema: pa.Schema | None = None, within: Callable[[str, str], bool] | None = None
) -> pa.Table:
    """A table, or some columns and row groups of it, as `ffpp_prep.format.tables.read_table`.

    Raises: UserError where it is damaged; OSError where it can't be read.
    """
    try:
        return read_table(path, _remedy(path), schema, within)
    except Damaged as error:
        raise UserError(f"cannot read {error}") from None


def settings_of(path: Path) -> dict[str, Any]:
    """What a Parquet part of ffpp-prep's was written with. Raises: UserError where it can't be read."""
    try:
        settings = json.loads(metadata_of(path).get(b"settings", b"{}"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(settings, dict):
        raise UserError(f"cannot read {path}: its settings are {settings!r}, must be names with values")
    return settings


def metadata_of(path: Path) -> dict[bytes, bytes]:
    """The key-value metadata of a table; raises as `checked_table`."""
    try:
        return read_metadata(path, _remedy(path))
    except Damaged as error:
        raise UserError(f"cannot read {error}") from None


def checked_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises as `checked_table`."""
    try:
        return read_checked_json(path, _remedy(path))
    except Damaged as error:
        raise UserError(f"cannot read {error}") from None


def opened_shard(
    path: Path, names: tuple[str, ...], blob: tuple[int, int], index_crc32: int | None
) -> h5py.File:
    """A shard whose datasets `names` lie in it as they should; raises as `checked_table`.

    Args:
        path: the file.
        names: what will be read.
        blob: where its crops lie, by the manifest.
        index_crc32: of all else, by the manifest; None where that doesn't say.
    """
    try:
        if index_crc32 is not None:
            check_index(path, blob, index_crc32, _remedy(path))
        return open_shard(path, _remedy(path), names)
    except Damaged as error:
        raise UserError(f"cannot read {error}") from None


def _remedy(path: Path) -> str:
    if path.name == "videos.parquet":
        return f"scan again, with  ffpp-prep scan ROOT -o {path.parent}: boxes and crops stay"
    return f"run  ffpp-prep verify {path.parent.parent} --repair"
