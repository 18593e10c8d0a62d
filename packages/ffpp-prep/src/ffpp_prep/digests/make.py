"""The digest of a work folder: of its stored crops, or of its boxes alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.digests.table import DigestPrograms, Header, Kind, schema_of, write_digest
from ffpp_prep.errors import Damaged, FatalError, UserError
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.files import crc32
from ffpp_prep.format.hdf5 import open_shard
from ffpp_prep.format.made_with import check_made_of, detection_settings, remedy_of
from ffpp_prep.format.manifest import MANIFEST, Manifest, read_manifest
from ffpp_prep.format.prepared_videos import read_prepared_videos
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.tables import read_table
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.text.bars import bar
from ffpp_prep.text.typed import typed
from ffpp_prep.version import __version__
from ffpp_prep.video import decoder_version

__all__ = ["digest_of", "make_digest"]

BEAT_CROPS = 100  # between two signs of life
_READ = ("blob", "offsets", "shape", "crc32", "video", "frame", "face", "box", "videos/id")


def make_digest(work: str | Path, out: str | Path, kind: Kind = "crops", jobs: int = 1) -> int:
    """Writes the digest of a work folder.

    Args:
        work: a folder with crops, or with boxes where `kind` is boxes.
        out: the Parquet file.
        kind: `crops` hashes every stored crop; `boxes` lists the boxes alone.
        jobs: processes, one shard or part each.

    Returns:
        how many rows it has.

    Raises:
        UserError: there is nothing to digest, or it is damaged.
        FatalError: the disk is full, or a worker was lost.
    """
    header, rows = digest_of(Path(work), read_prepared_videos(work)[0], kind, jobs)
    write_digest(Path(out), header, rows)
    return int(rows.num_rows)


def digest_of(work: Path, videos: pd.DataFrame, kind: Kind, jobs: int = 1) -> tuple[Header, pa.Table]:
    """Returns the digest of a work folder and of its `read_prepared_videos`; else as `make_digest`."""
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    videos = videos[videos["status"].isin(USABLE)]
    header, tasks = (_crops if kind == "crops" else _boxes)(work, videos)
    found = pa.concat_tables([schema_of(kind).empty_table(), *_each(tasks, jobs)]).unify_dictionaries()
    if not found.num_rows:
        raise UserError(f"{work}: there are no {kind} to digest; run  ffpp-prep extract {typed(work)}")
    rows = found.combine_chunks().take(_order(found))
    return header, rows


def _order(rows: pa.Table) -> NDArray[np.int64]:
    """Returns the order of the rows by video, frame and face."""
    ids = rows["video_id"].combine_chunks()
    names = np.argsort(np.argsort(ids.dictionary.to_numpy(zero_copy_only=False)))
    order: NDArray[np.int64] = np.lexsort(
        (rows["face"].to_numpy(), rows["frame"].to_numpy(), names[ids.indices.to_numpy()])
    )
    return order


@dataclass(frozen=True)
class _Shard:
    """The crops of a shard; `videos`: those that count."""

    path: Path
    codec: str
    videos: frozenset[str]

    def rows(self, beat: Beat) -> pa.Table:
        remedy = remedy_of(self.path)
        with open_shard(self.path, remedy, _READ) as file:
            ids = [name.decode(errors="replace") for name in file["videos/id"][:]]
            video, boxes, shape = file["video"][:], file["box"][:], file["shape"][:]
            values = {"frame": file["frame"][:], "face": file["face"][:]}
            values |= {name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
            values |= {"height": shape[:, 0], "width": shape[:, 1]}
            kept = np.flatnonzero(np.array([name in self.videos for name in ids], np.bool_)[video])
            means, digests = self._hashed(file, kept, shape, remedy, beat)
        columns = {name: array[kept] for name, array in values.items()}
        names = pa.DictionaryArray.from_arrays(
            pa.array(video[kept].astype(np.int32)), pa.array(ids, pa.string())
        )
        schema = schema_of("crops")
        columns |= {"mean": means}
        arrays = [names, *(pa.array(columns[name], schema.field(name).type) for name in schema.names[1:-1])]
        return pa.table([*arrays, pa.array(digests, schema.field("sha256").type)], schema=schema)

    def _hashed(
        self, file: Any, kept: NDArray[np.int64], shape: NDArray[np.int32], remedy: str, beat: Beat
    ) -> tuple[NDArray[np.float32], list[bytes]]:
        """Returns the mean of each crop's values and the SHA-256 of its pixels."""
        offsets, checks, decode = (
            file["offsets"][:].astype(np.int64),
            file["crc32"][:],
            codec(self.codec).decode,
        )
        means, digests = np.zeros(len(kept), np.float32), []
        for place, crop in enumerate(kept):
            data = file["blob"][offsets[crop] : offsets[crop + 1]].tobytes()
            if crc32(data) != checks[crop]:
                raise Damaged(self.path, f"crop {crop} is not what was written", remedy)
            try:
                pixels = decode(data, *map(int, shape[crop]))
            except (ValueError, RuntimeError) as error:
                raise Damaged(self.path, f"crop {crop} can't be decoded ({error})", remedy) from None
            means[place] = pixels.mean(dtype=np.float64)
            digests.append(hashlib.sha256(pixels.tobytes()).digest())
            if place % BEAT_CROPS == 0:
                beat()
        return means, digests


@dataclass(frozen=True)
class _Part:
    """The boxes of a part; `videos`: those that count."""

    path: Path
    videos: frozenset[str]

    def rows(self, beat: Beat) -> pa.Table:
        table = (
            read_table(self.path, remedy_of(self.path), schema_of("boxes"))
            .unify_dictionaries()
            .combine_chunks()
        )
        ids = table["video_id"].chunk(0) if table.num_rows else None
        if ids is None:
            return table
        wanted = np.array([name in self.videos for name in ids.dictionary.to_pylist()], np.bool_)
        return table.filter(pa.array(wanted[ids.indices.to_numpy()]))


_Task = _Shard | _Part


def _crops(work: Path, videos: pd.DataFrame) -> tuple[Header, Sequence[_Task]]:
    path = work / "faces" / MANIFEST
    if not path.is_file():
        raise UserError(
            f"{work} has no crops; run  ffpp-prep extract {typed(work)}  or give --boxes for its boxes alone"
        )
    manifest = read_manifest(path)
    check_made_of(path.parent, manifest.boxes)
    listed = frozenset(videos["video_id"])
    tasks = [_Shard(path.parent / shard.file, manifest.header.codec, listed) for shard in manifest.shards]
    return _header(work, "crops", manifest), tasks


def _boxes(work: Path, videos: pd.DataFrame) -> tuple[Header, Sequence[_Task]]:
    tasks = [
        _Part(work / "boxes" / f"boxes-{part}.parquet", frozenset(own["video_id"]))
        for part, own in videos.groupby("boxes_part")
    ]
    return _header(work, "boxes"), tasks


def _header(work: Path, kind: Kind, manifest: Manifest | None = None) -> Header:
    detection = {
        name: values[0] if len(values) == 1 else list(values)
        for name, values in detection_settings(work).items()
    }
    detection["detector"] = detection.get("detector") or "ssd"
    versions = DigestPrograms(__version__, decoder_version(str(detection.get("decoder", "pyav"))))
    if manifest is None:
        return Header(kind, detection, versions=versions)
    return Header(kind, detection, manifest.header.geometry, manifest.header.codec, versions)


def _each(tasks: Sequence[_Task], jobs: int) -> Iterator[pa.Table]:
    with bar(total=len(tasks), desc="digest", unit="shard") as progress:
        if jobs == 1 or len(tasks) < 2:
            for task in tasks:
                yield task.rows(lambda: None)
                progress.update()
            return
        for outcome in run_tasks(_rows, tasks, jobs):
            if outcome.lost is not None:
                raise FatalError(f"{outcome.task.path}: {outcome.lost.error}")
            assert outcome.result is not None
            yield outcome.result
            progress.update()


def _rows(task: _Task, beat: Beat) -> pa.Table:
    return task.rows(beat)
