"""Checks the parts of a table: their checksums, and that counts and rows agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.tables import read_table
from ffpp_prep.jobs import Beat
from ffpp_prep.text.units import counted
from ffpp_prep.work.parts import PartStore
from ffpp_prep.work.recorded_settings import fingerprint_of, told
from ffpp_prep.work.verify.damage import Damage, Unread, Wrong, unread
from ffpp_prep.work.verify.tasks import each


@dataclass(frozen=True)
class PartRows:
    """The rows of a part, by columns; `owner`: each one's video, by its place in the other table."""

    owner: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]


# The videos' own rows, their rows in the other table, the settings -> which don't agree, and how.
Count = Callable[[pd.DataFrame, PartRows, dict[str, Any]], Iterator[tuple[int, str]]]


@dataclass(frozen=True)
class Content:
    """What a kind of parts holds: which columns of its rows count, and how."""

    schema: pa.Schema
    count: Count


@dataclass(frozen=True)
class _Task:
    store: PartStore[Any]
    commit: Path
    content: Content


@dataclass(frozen=True)
class _Sound:
    rows: int
    fingerprint: str


def check_parts(
    store: PartStore[Any], content: Content, jobs: int = 1
) -> tuple[int, int, list[Damage], list[Unread]]:
    """Returns how many parts are sound, how many rows they hold, which are damaged, and which couldn't be read."""
    tasks = [_Task(store, commit, content) for commit in store.commits()]
    found = sorted(each(_check, tasks, jobs, "part"), key=lambda pair: pair[0].commit)
    damage = [result for _, result in found if isinstance(result, Damage)]
    lost = [result if isinstance(result, Unread) else Unread(task.commit, result)
            for task, result in found if isinstance(result, Unread | str)]  # fmt: skip
    sound = [(task.commit, result) for task, result in found if isinstance(result, _Sound)]
    for commit, result in sound:
        if result.fingerprint != sound[0][1].fingerprint:
            what = "written with other settings than the parts before it"
            damage.append(Damage(commit, what, _files(store, commit)))
    names = {one.file for one in damage}
    kept = [result for commit, result in sound if commit not in names]
    return len(kept), sum(result.rows for result in kept), damage, lost


def _check(task: _Task, beat: Beat) -> _Sound | Damage | Unread:
    files = _files(task.store, task.commit)
    try:
        return _part(task, files[1], beat)
    except Wrong as wrong:
        return Damage(wrong.file, str(wrong), files)
    except Damaged as damaged:
        return Damage(damaged.path, damaged.reason, files)
    except UserError as error:  # of another version: it may be another program's, and sound
        return Unread(task.commit, str(error).removeprefix(f"{task.commit}: "))
    except OSError as error:
        return unread(task.commit, error)


def _files(store: PartStore[Any], commit: Path) -> tuple[Path, Path]:
    return commit, store.rows_file(commit.stem.split("-")[1])


def _part(task: _Task, rows_file: Path, beat: Beat) -> _Sound:
    """Checks one part by itself."""
    store = task.store
    table = read_table(task.commit, store.remedy, store.status_schema)
    metadata = table.schema.metadata
    if not {b"rows_sha256", b"settings", b"fingerprint"} <= metadata.keys():
        raise Wrong(task.commit, "without checksum or settings: not written by this ffpp-prep")
    settings = told(task.commit, metadata, store.remedy)
    if not rows_file.exists():
        raise Wrong(rows_file, "missing")
    if sha256_of(rows_file, beat) != metadata[b"rows_sha256"].decode(errors="replace"):
        raise Wrong(rows_file, "its SHA-256 is not the recorded one")
    videos = table.to_pandas()
    rows = _rows(read_table(rows_file, store.remedy, task.content.schema), videos, rows_file)
    for place, wrong in task.content.count(videos, rows, settings):
        raise Wrong(rows_file, f"{videos['video_id'].iloc[place]}: {wrong}")
    return _Sound(len(rows.owner), fingerprint_of(settings))


def _rows(table: pa.Table, videos: pd.DataFrame, path: Path) -> PartRows:
    ids = table["video_id"].unify_dictionaries().combine_chunks()
    names = ids.dictionary.to_pylist()
    places = pd.Index(videos["video_id"]).get_indexer(names)
    owner = places[ids.indices.to_numpy()] if len(ids) else np.zeros(0, np.int64)
    if np.any(owner < 0):
        stray = names[int(ids.indices[int(np.argmax(owner < 0))].as_py())]
        raise Wrong(path, f"rows of {stray}, which the part doesn't list")
    columns = {name: table[name].to_numpy() for name in table.column_names if name != "video_id"}
    return PartRows(owner, columns)


def _count_boxes(videos: pd.DataFrame, rows: PartRows, settings: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yields one best face for each decoded frame, and the numbers of the video's row."""
    best = rows["face"] == 0
    order = np.argsort(rows.owner[best], kind="stable")
    owner, frame = rows.owner[best][order], rows["frame"][best][order]
    number = _number(owner, len(videos))
    decoded = videos["frames_decoded"].to_numpy()
    start = np.cumsum(number) - number
    astray = _number(owner[frame != np.arange(len(owner)) - start[owner]], len(videos))
    empty = videos["status"].isin(USABLE).to_numpy() & (decoded == 0)
    for place in np.flatnonzero((number != decoded) | (astray > 0) | empty).tolist():
        yield place, f"boxes in {counted(int(number[place]), 'frame')}, {decoded[place]:,} decoded"
    found = best & (rows["score"].astype(np.float64) > settings["threshold"])
    yield from _different(
        videos,
        frames_with_face=_number(rows.owner[found], len(videos)),
        frames_multi_face=_number(rows.owner[rows["face"] == 1], len(videos)),
    )


def _count_faces(videos: pd.DataFrame, rows: PartRows, settings: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yields the videos whose row of a fake has other numbers than its faces, or marks a track in two ways."""
    marks = zip(videos["marked_by"], videos["tracks_touched"], videos["tracks_unknown"], strict=True)
    for place, (by, touched, unknown) in enumerate(marks):
        if isinstance(by, str) and (twice := {*touched}.intersection(unknown)):
            yield place, f"track {min(twice)} is marked both touched and unknown"
    yield from _different(
        videos,
        faces=_number(rows.owner, len(videos)),
        faces_untouched=_number(rows.owner[~rows["touched"].astype(bool)], len(videos)),
    )


def _count_landmarks(
    videos: pd.DataFrame, rows: PartRows, settings: dict[str, Any]
) -> Iterator[tuple[int, str]]:
    """Yields the videos whose row has other numbers than their landmarks."""
    return _different(
        videos,
        faces=_number(rows.owner, len(videos)),
        faces_flagged=_number(rows.owner[rows["flag"] >= 0.5], len(videos)),
    )


def _number(owner: NDArray[np.int64], videos: int) -> NDArray[np.int64]:
    return np.bincount(owner, minlength=videos)


def _different(videos: pd.DataFrame, **found: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
    for name, numbers in found.items():
        told_ = videos[name].to_numpy()
        for place in np.flatnonzero(told_ != numbers).tolist():
            yield place, f"{name} is {told_[place]}, the rows say {numbers[place]}"


_ID = ("video_id", pa.dictionary(pa.int32(), pa.string()))
BOXES = Content(
    pa.schema([_ID, ("frame", pa.int32()), ("face", pa.int8()), ("score", pa.float32())]), _count_boxes
)
LANDMARKS = Content(pa.schema([_ID, ("flag", pa.float32())]), _count_landmarks)
FAKES = Content(pa.schema([_ID, ("touched", pa.bool_())]), _count_faces)

__all__: Sequence[str] = ("BOXES", "FAKES", "LANDMARKS", "Content", "check_parts")
