"""The columns of WORK's tables, and the version of the format: the one place where a column is added.

A column that came later has `since` in its metadata, with the release that brings it: any value makes it optional, so
that it is null where an older file lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.made_with import remedy_of
from ffpp_prep.format.records import VideoRecord

__all__ = [
    "BOXES_SCHEMA",
    "CHECKS_SCHEMA",
    "FAKES_SCHEMA",
    "FORMAT_VERSION",
    "LANDMARKS_SCHEMA",
    "LANDMARK_STATUS_SCHEMA",
    "LIKENESS_SCHEMA",
    "POINTS",
    "POINT_BYTES",
    "SCAN_COLUMNS",
    "SCAN_SCHEMA",
    "STATUS_SCHEMA",
    "USABLE",
    "refuse_other_version",
    "refuse_version",
]

FORMAT_VERSION = 1
POINTS = 468
"""of a face's mesh"""
POINT_BYTES = 2 * 2 * POINTS
USABLE = ("ok", "partial")  # statuses of videos with faces to crop

# videos.parquet
SCAN_COLUMNS = tuple(field.name for field in fields(VideoRecord))
_SCAN_SINCE = {"fake_segments": "0.2", "split_by": "0.3"}
SCAN_SCHEMA = pa.schema(
    [
        pa.field(
            name,
            pa.int8() if name == "label" else pa.string(),
            metadata={"since": _SCAN_SINCE[name]} if name in _SCAN_SINCE else None,
        )
        for name in SCAN_COLUMNS
    ]
)
# boxes/boxes-*.parquet
BOXES_SCHEMA = pa.schema(
    [
        ("video_id", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("face", pa.int8()),
        ("track", pa.int32()),
        ("score", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("top", pa.int32()),
        ("bottom", pa.int32()),
        ("left", pa.int32()),
        ("right", pa.int32()),
        ("interpolated", pa.bool_()),
    ]
)
# boxes/videos-*.parquet
STATUS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float32()),
        ("frames_container", pa.int32()),
        ("frames_decoded", pa.int32()),
        ("frames_with_face", pa.int32()),
        ("frames_multi_face", pa.int32()),
        ("multiple_faces", pa.bool_()),
        ("boxes_from", pa.string()),
        ("decode_s", pa.float32()),
        ("detect_s", pa.float32()),
    ]
)
# and there, read only where it is asked for
LIKENESS_SCHEMA = pa.schema([pa.field("likeness", pa.binary(), metadata={"since": "0.2"})])
# fakes/fakes-*.parquet
FAKES_SCHEMA = pa.schema(
    [
        ("video_id", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("face", pa.int8()),
        ("difference", pa.float32()),
        ("background", pa.float32()),
        ("contrast", pa.float32()),
        ("touched", pa.bool_()),
        pa.field("noise", pa.float32(), metadata={"since": "0.2"}),
        pa.field("unknown", pa.bool_(), metadata={"since": "0.2"}),
    ]
)
# fakes/videos-*.parquet
CHECKS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("frames_decoded", pa.int32()),
        ("faces", pa.int32()),
        ("faces_untouched", pa.int32()),
        ("frames_untouched", pa.int32()),
        ("changes", pa.int32()),
        ("switches", pa.int32()),
        pa.field("faces_unknown", pa.int32(), metadata={"since": "0.2"}),
        pa.field("tracks_touched", pa.list_(pa.int32()), metadata={"since": "0.3"}),
        pa.field("tracks_unknown", pa.list_(pa.int32()), metadata={"since": "0.3"}),
        pa.field("marked_by", pa.string(), metadata={"since": "0.3"}),
    ]
)
# landmarks/landmarks-*.parquet
LANDMARKS_SCHEMA = pa.schema(
    [
        ("video_id", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("face", pa.int8()),
        ("flag", pa.float32()),
        ("yaw", pa.float32()),
        ("pitch", pa.float32()),
        ("roll", pa.float32()),
        ("points", pa.binary(POINT_BYTES)),
    ]
)
# landmarks/videos-*.parquet
LANDMARK_STATUS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("frames_decoded", pa.int32()),
        ("faces", pa.int32()),
        ("faces_flagged", pa.int32()),
    ]
)


def refuse_other_version(path: Path, metadata: Mapping[bytes, bytes]) -> None:
    """Compares the format version in a table's metadata with ours; raises as `refuse_version`."""
    version = metadata.get(b"format_version")
    refuse_version(path, None if version is None else version.decode(errors="replace"))


def refuse_version(path: Path, version: object) -> None:
    """Compares a file's format version with ours.

    Raises:
        Damaged: it has none, or one that is no number.
        UserError: it is another one.
    """
    if str(version) == str(FORMAT_VERSION):
        return
    if not re.fullmatch(r"[0-9]{1,6}", str(version)):
        raise Damaged(path, "its format version is missing", remedy_of(path))
    raise UserError(
        f"{path}: format version {version}; this ffpp-prep reads {FORMAT_VERSION}. Use the version that wrote it; "
        f"if this one did, the file is damaged: {remedy_of(path)}"
    )
