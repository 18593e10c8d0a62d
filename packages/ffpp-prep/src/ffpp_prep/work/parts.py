"""Tables that grow part by part: what is committed is whole, and what is not committed doesn't count.

    FOLDER/<name>-00000.parquet     the rows of some videos, written first
    FOLDER/videos-00000.parquet     one row each of these videos, written last: the commit of that part
    FOLDER/gathered.parquet         of many parts, see `ffpp_prep.work.gathered`

A video is done when its row stands in a committed `videos-*` part; the latest part wins. Work that is left is a
set difference on `video_id`, so neither part size nor order nor added videos ever break a resume.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.errors import Damaged
from ffpp_prep.format.files import sha256_of, sweep, whole_file
from ffpp_prep.format.schemas import FORMAT_VERSION, refuse_other_version
from ffpp_prep.format.tables import FOOTER, footer_of, read_metadata, read_table, recorded_footer, write_table
from ffpp_prep.text.typed import typed
from ffpp_prep.work.gathered import MANY, PART, gather, read_gathered, stamp_of
from ffpp_prep.work.recorded_settings import (
    fingerprint,
    fingerprint_of,
    recorded,
    refuse_other_settings,
    told,
)


class VideoResult(Protocol):
    """What is known about one finished video: an attribute for each column of its row, and its rows."""

    @property
    def video_id(self) -> str:
        """The video that this is the result of."""
        ...

    @property
    def rows(self) -> pa.Table | None:
        """The video's rows in the table beside."""
        ...


Result = TypeVar("Result", bound=VideoResult)


class PartStore(Generic[Result]):
    """The parts in a folder: reads what is committed, commits more.

    `kept` columns are written beside those of `status`, and read by who needs them only: they would weigh on all else.
    """

    def __init__(
        self, folder: Path, name: str, rows: pa.Schema, status: pa.Schema, kept: pa.Schema | None = None
    ) -> None:
        self.folder = folder
        self._kept = kept or pa.schema([])
        self.remedy = f"run  ffpp-prep verify {typed(folder.parent)} --repair"
        self._name = name
        self._rows, self.status_schema = rows, status

    def begin(self, settings: Any, built_on: Sequence[Path] = ()) -> None:
        """Makes the folder ready for a run with these settings; only for the run that holds the lock.

        Args:
            settings: of the parts to come.
            built_on: folders of what was made of these parts.

        Raises:
            UserError: the parts there were made with others.
        """
        self.sweep()
        self.refuse_other(settings, built_on)
        self._gather()

    def refuse_other(self, settings: Any, built_on: Sequence[Path] = ()) -> None:
        """Refuses settings that aren't those of the parts there, as `begin` does, and changes nothing.

        Raises:
            UserError: they are others.
        """
        before = self.settings()
        if before is not None:
            refuse_other_settings(self.folder, before, settings, built_on)

    def sweep(self) -> None:
        """Removes data files without their commit; only for the run that holds the lock."""
        if self.folder.is_dir():
            sweep(self.folder)
            for path in self.folder.glob(f"{self._name}-*.parquet"):
                if not path.with_name(path.name.replace(self._name, "videos", 1)).exists():
                    path.unlink()

    def commits(self) -> list[Path]:
        """Returns the committed parts, oldest first."""
        return sorted(self.folder.glob("videos-*.parquet"))

    def settings(self) -> dict[str, Any] | None:
        """Returns the settings of the committed parts; None where there are none."""
        commits = self.commits()
        return told(commits[0], read_metadata(commits[0], self.remedy), self.remedy) if commits else None

    def fingerprint(self) -> str:
        """Returns the fingerprint of the committed parts' settings; "" where there are none."""
        settings = self.settings()
        return "" if settings is None else fingerprint_of(settings)

    def commit_part(self, results: Iterable[Result], settings: Any, metadata: dict[str, str]) -> None:
        """Writes one part: the rows first, then the videos' own rows, whose presence makes the part count."""
        done = sorted(results, key=lambda r: r.video_id)
        commits = self.commits()
        part = f"{int(_part(commits[-1])) + 1 if commits else 0:05d}"
        metadata = {
            **metadata,
            "format_version": str(FORMAT_VERSION),
            "settings": json.dumps(recorded(asdict(settings))),
            "fingerprint": fingerprint(settings),
        }
        tables = [r.rows for r in done if r.rows is not None]
        rows = pa.concat_tables(tables).unify_dictionaries() if tables else self._rows.empty_table()
        with whole_file(self.rows_file(part)) as temporary:
            write_table(rows.replace_schema_metadata(metadata), temporary)
        metadata["rows_sha256"] = sha256_of(self.rows_file(part))
        metadata[FOOTER] = footer_of(self.rows_file(part), self.remedy)
        schema = pa.schema([*self.status_schema, *self._kept])
        columns = {name: [getattr(r, name) for r in done] for name in schema.names}
        status = pa.table(columns, schema=schema).replace_schema_metadata(metadata)
        with whole_file(self.folder / f"videos-{part}.parquet") as temporary:
            write_table(status, temporary)
        if len(commits) % MANY == MANY - 1:
            self._gather()

    def read_status(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Returns one row a committed video, the latest one.

        Args:
            columns: of the status schema, all unless told; `video_id` and `part` are always there.
        """
        names = self.status_schema.names if columns is None else dict.fromkeys(["video_id", *columns])
        schema = pa.schema([self.status_schema.field(name) for name in names])
        status: pd.DataFrame = self._read_commits(self.commits(), schema)[0].to_pandas()
        return status.drop_duplicates("video_id", keep="last", ignore_index=True)

    def _read_commits(self, commits: Sequence[Path], schema: pa.Schema) -> tuple[pa.Table, int]:
        """Returns the rows of parts, with the column `part`, and of how many of them they were gathered."""
        table, gathered = read_gathered(commits, schema)
        tables, parts = [schema.empty_table()], list[str]()
        for path in commits[gathered:]:
            tables.append(read_table(path, self.remedy, schema, accept=partial(refuse_other_version, path)))
            parts += [_part(path)] * tables[-1].num_rows
        single = pa.concat_tables(tables).append_column(PART, pa.array(parts, PART.type))
        return pa.concat_tables([table, single]), gathered

    def _gather(self) -> None:
        """Makes sure that no more than MANY files are to be opened for the videos' rows."""
        commits = self.commits()
        if len(commits) < MANY:
            return
        stamp = stamp_of(commits)
        table, gathered = self._read_commits(commits, self.status_schema)
        if len(commits) - gathered >= MANY:
            gather(commits, stamp, table)

    def done(self, but: Sequence[str] = ()) -> set[str]:
        """Returns the committed videos, except those with a status in `but`."""
        status = self.read_status(["status"])
        return set(status.loc[~status["status"].isin(but), "video_id"])

    def read_rows(
        self,
        video_ids: Iterable[str] | None = None,
        status: pd.DataFrame | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Returns the committed rows, sorted by video, frame, face; of all videos or of some.

        Args:
            video_ids: these only.
            status: rows of `read_status`, where they are at hand: reading those of many parts takes seconds.
            columns: these only.
        """
        by = ("video_id", "frame", "face")
        needed = self._rows.names if columns is None else list(dict.fromkeys([*columns, *by]))
        parts = [self._read(*piece, needed) for piece in self._pieces(video_ids, status)]
        table = pa.concat_tables(parts).unify_dictionaries() if parts else self._rows.empty_table()
        del parts  # each column's memory is free once it is sorted
        order, found = pa.array(_order(*(table[name] for name in by))), {}
        for name in needed:
            if columns is None or name in columns:
                found[name] = _plain(table[name].take(order)).to_pandas()
            table = table.drop_columns([name])
        return pd.DataFrame(found, columns=None if columns is None else list(columns), copy=False)

    def each_part(
        self,
        video_ids: Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
        status: pd.DataFrame | None = None,
    ) -> Iterator[pd.DataFrame]:
        """Yields the rows of `read_rows` part by part, so that not all are in memory; a video's are in one."""
        for part, own in self._pieces(video_ids, status):
            yield self.read_part(part, own, columns)

    def read_part(self, part: str, video_ids: set[str], columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Returns the rows of some videos of one part; all columns, or some.

        Raises:
            Damaged: the file isn't what was written, or is gone; the message says what to do.
        """
        names = self._rows.names if columns is None else list(columns)
        table = self._read(part, video_ids, list(dict.fromkeys(["video_id", *names])))
        plain = pa.table([_plain(table[name]) for name in names], names=names)
        frame: pd.DataFrame = plain.to_pandas(use_threads=len(video_ids) > 1)  # for one, threads take longer
        return frame

    def _pieces(
        self, video_ids: Iterable[str] | None, status: pd.DataFrame | None
    ) -> Iterator[tuple[str, set[str]]]:
        """Yields the parts that hold any of these videos, and which."""
        status = self.read_status([]) if status is None else status
        wanted = None if video_ids is None else set(video_ids)
        for part, done in status.groupby("part")["video_id"]:
            keep = set(done) if wanted is None else wanted.intersection(done)
            if keep:
                yield part, keep

    def _read(self, part: str, video_ids: set[str], names: Sequence[str]) -> pa.Table:
        path = self.rows_file(part)
        if not path.exists():
            raise Damaged(path, "it is missing", self.remedy)
        schema = pa.schema([self._rows.field(name) for name in names])
        footer = recorded_footer(self.folder / f"videos-{part}.parquet", self.remedy)
        return read_table(path, self.remedy, schema, video_ids, footer=footer)

    def rows_file(self, part: str) -> Path:
        """Returns the file that holds a part's rows."""
        return self.folder / f"{self._name}-{part}.parquet"


def storable(result: Result, schema: pa.Schema, failed: Callable[[str], Result]) -> Result:
    """Returns the result where its row can be written; a value from a file may be none that a table holds.

    Args:
        result: of one video, whose fault that is.
        schema: of the videos' own rows.
        failed: makes the result of a video that failed for this reason.
    """
    try:
        pa.table({name: [getattr(result, name)] for name in schema.names}, schema=schema)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        return failed(f"what it says of itself can't be recorded: {' '.join(str(error).split())}")
    return result


def _part(commit: Path) -> str:
    return commit.stem.split("-")[1]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a dictionary column as plain text: parts have different dictionaries."""
    return column.cast(pa.large_string()) if pa.types.is_dictionary(column.type) else column


def _order(ids: pa.ChunkedArray, frame: pa.ChunkedArray, face: pa.ChunkedArray) -> NDArray[np.intp]:
    """Returns the rows' places by video, frame and face; `ids` is a dictionary, the same in all chunks."""
    if not len(ids):
        return np.empty(0, np.intp)
    names = ids.chunk(0).dictionary.to_numpy(zero_copy_only=False)
    rank = np.empty(len(names), np.int32)
    rank[np.argsort(names)] = np.arange(len(names), dtype=np.int32)
    owner = np.concatenate([rank[chunk.indices.to_numpy()] for chunk in ids.chunks])
    return np.lexsort((face.to_numpy(), frame.to_numpy(), owner))
