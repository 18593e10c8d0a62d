"""A digest's file: a Parquet table, one row a face crop (or box), and a header that says how they were made.

A row names a crop by video, frame and face, and holds its box, its size, the mean of its values and the SHA-256 of its
pixels (height x width x 3 bytes, RGB, row by row). No picture can be had from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import pyarrow as pa

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.tables import read_metadata, read_table, write_table

__all__ = ["CORNERS", "CROPS", "Digest", "DigestPrograms", "Header", "Kind", "read_digest", "write_digest"]

Kind = Literal["crops", "boxes"]
VERSION = 1
KEY = b"ffpp_prep_digest"
REMEDY = "ask whoever made it for another copy"
CORNERS = ("x1", "y1", "x2", "y2")

_BOXES = pa.schema(
    [
        ("video_id", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("face", pa.int8()),
        *((name, pa.float32()) for name in CORNERS),
    ]
)
CROPS = pa.schema(
    [
        *_BOXES,
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("mean", pa.float32()),
        ("sha256", pa.binary(32)),
    ]
)


@dataclass(frozen=True)
class DigestPrograms:
    """The programs that made a digest.

    Attributes:
        ffpp_prep: of this package.
        decoder: `pyav` or `decord`, its version, and FFmpeg's libavcodec.
    """

    ffpp_prep: str = ""
    decoder: str = ""


@dataclass(frozen=True)
class Header:
    """What all rows of a digest have in common.

    Attributes:
        kind: whether the rows are crops, or boxes alone.
        detection: the settings of `boxes`, such as `detector`, `threshold` and `weights_sha256`.
        geometry: how crops derive from their boxes.
        codec: how the crops are stored; what a lossy one gives back is what was hashed.
        versions: of the programs, when the digest was made.
    """

    kind: Kind
    detection: dict[str, Any]
    geometry: CropGeometry | None = None
    codec: str = ""
    versions: DigestPrograms = field(default_factory=DigestPrograms)


@dataclass(frozen=True)
class Digest:
    """A digest in memory; `rows` has the columns of its kind, `video_id` as a category."""

    header: Header
    rows: pd.DataFrame


def write_digest(path: Path, header: Header, rows: pa.Table) -> None:
    """Writes a digest, whole or not at all; its rows by video, frame and face."""
    told = {"version": VERSION, **asdict(header)}
    with whole_file(path) as temporary:
        write_table(rows.replace_schema_metadata({KEY: json.dumps(told)}), temporary)


def read_digest(path: Path) -> Digest:
    """Reads what `write_digest` wrote.

    Raises:
        UserError: it is no digest, of another version, or damaged.
        OSError: it can't be read.
    """
    header = _header(path, read_metadata(path, REMEDY))
    table = read_table(path, REMEDY, schema_of(header.kind))
    if any(column.null_count for column in table.columns):
        raise UserError(f"{path}: a row lacks a value; {REMEDY}")
    rows = table.to_pandas()
    twice = rows.duplicated(["video_id", "frame", "face"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise UserError(f"{path}: {first.video_id}, frame {first.frame}, face {first.face} is in it twice")
    return Digest(header, rows)


def schema_of(kind: Kind) -> pa.Schema:
    """Returns the columns of a digest's rows."""
    return CROPS if kind == "crops" else _BOXES


def _header(path: Path, metadata: dict[bytes, bytes]) -> Header:
    if KEY not in metadata:
        raise UserError(f"{path} is no digest: `ffpp-prep digest` writes one")
    try:
        told = json.loads(metadata[KEY])
        version, kind = told.pop("version"), told["kind"]
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(f"{path}: its header can't be read; {REMEDY}") from None
    if version != VERSION:
        raise UserError(f"{path}: version {version!r} of digests; this ffpp-prep reads {VERSION}")
    if kind not in get_args(Kind):
        raise UserError(f"{path}: a digest of {kind!r}, allowed: {', '.join(get_args(Kind))}")
    try:
        geometry = CropGeometry(**told["geometry"]) if told["geometry"] else None
        header = Header(
            kind, dict(told["detection"]), geometry, told["codec"], DigestPrograms(**told["versions"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header can't be read ({error}); {REMEDY}") from None
    if (kind == "crops") != (geometry is not None):
        raise UserError(f"{path}: its header doesn't say how crops were cut; {REMEDY}")
    return header
