"""Checks the parts of a table: their checksums, and that counts and rows agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ffpp_prep.boxes import USABLE
from ffpp_prep.files import sha256_of
from ffpp_prep.parts import PartStore
from ffpp_prep.verify.damage import Damage, Wrong

# A video's row, its rows in the other table, the settings -> what doesn't agree, "" for nothing.
Count = Callable[[dict[str, Any], pd.DataFrame, dict[str, Any]], str]


def check_parts(store: PartStore[Any], count: Count) -> tuple[int, int, list[Damage]]:
    """How many parts are sound, how many rows they hold, and which are not."""
    sound = total = 0
    damage = []
    fingerprints: set[bytes] = set()
    for commit in store.commits():
        rows = store.rows_file(commit.stem.split("-")[1])
        try:
            total += _part(commit, rows, fingerprints, count)
            sound += 1
        except Wrong as wrong:
            damage.append(Damage(wrong.file, str(wrong), (commit, rows)))
    return sound, total, damage


def _part(commit: Path, rows_file: Path, fingerprints: set[bytes], count: Count) -> int:
    """Checks one part, and that its settings are those of the parts before; the number of its rows."""
    videos = _table(commit)
    metadata = videos.schema.metadata or {}
    if not {b"rows_sha256", b"settings", b"fingerprint"} <= metadata.keys():
        raise Wrong(commit, "without checksum or settings: not written by this ffpp-prep")
    if not rows_file.is_file():
        raise Wrong(rows_file, "missing")
    if sha256_of(rows_file) != metadata[b"rows_sha256"].decode():
        raise Wrong(rows_file, "its SHA-256 is not the recorded one")
    fingerprints.add(metadata[b"fingerprint"])
    if len(fingerprints) > 1:
        raise Wrong(commit, "written with other settings than the parts before it")
    settings = json.loads(metadata[b"settings"])
    rows = _table(rows_file).to_pandas()
    rows["video_id"] = rows["video_id"].astype(str)
    by_video = dict(iter(rows.groupby("video_id", sort=False)))
    for video in videos.to_pylist():
        wrong = count(video, by_video.pop(video["video_id"], rows.iloc[:0]), settings)
        if wrong:
            raise Wrong(rows_file, f"{video['video_id']}: {wrong}")
    if by_video:
        raise Wrong(rows_file, f"rows of {next(iter(by_video))}, which the part doesn't list")
    return len(rows)


def count_boxes(video: dict[str, Any], rows: pd.DataFrame, settings: dict[str, Any]) -> str:
    """A `Count` of boxes: one best face for each decoded frame, and the numbers of the video's row."""
    best = rows[rows["face"] == 0]
    frames = video["frames_decoded"]
    if best["frame"].tolist() != list(range(frames)) or (video["status"] in USABLE and not frames):
        return f"boxes in {len(best)} frames, {frames} were decoded"
    with_face = (best["score"].astype(float) > settings["threshold"]).sum()
    multi_face = (rows["face"] == 1).sum()
    return _difference(video, frames_with_face=with_face, frames_multi_face=multi_face)


def count_faces(video: dict[str, Any], rows: pd.DataFrame, settings: dict[str, Any]) -> str:
    """A `Count` of measured faces: the numbers of the fake's row."""
    return _difference(video, faces=len(rows), faces_untouched=(~rows["touched"].astype(bool)).sum())


def _difference(video: dict[str, Any], **found: int) -> str:
    wrong = [f"{name} is {video[name]}, the rows say {n}" for name, n in found.items() if video[name] != n]
    return "; ".join(wrong)


def _table(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise Wrong(path, f"not readable: {str(error).splitlines()[0]}") from error
    return table
