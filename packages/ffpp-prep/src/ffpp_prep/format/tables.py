"""Parquet files that say by themselves whether they are as they were written: how they are written and read."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.footers import (
    KEY,
    bounds_of_groups,
    digits_of,
    lost_checksums,
    piece,
    read_footer,
    recorded_checksums,
    room_for_checksums,
    seal,
)
from ffpp_prep.format.table_sizes import check_pages, check_texts, is_text
from ffpp_prep.machine import reading

__all__ = [
    "FOOTER",
    "GROUP_ROWS",
    "KEY",
    "footer_of",
    "read_metadata",
    "read_table",
    "recorded_footer",
    "rows_of",
    "write_table",
    "written_size",
]

# Of pandas, which would make an index of columns, or of a range of any length, because a file says so.
NOT_METADATA = (KEY, b"ARROW:schema", b"pandas")
FOOTER = "rows_footer_crc32"  # in a commit's metadata
_ID = "video_id"  # found by the least and greatest one of each row group; of no other column are these kept
GROUP_ROWS = 8192  # some 30 videos' boxes: what one video's reader reads
FEW_ROWS = 1024  # in which a dictionary saves nothing, and is a page more to read
LONG_GROUP_ROWS = 1024  # of points: a video's are read in 5 ms instead of 29, for 1 % more space
# Bytes that are read at once, since Arrow asks for a file's pieces through Python; a part's videos take 50 kB.
SMALL = 1 << 20


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table with checksums, under the name given: see `ffpp_prep.format.files.whole_file`."""
    groups = max(1, -(-table.num_rows // _group_rows(table.schema)))
    metadata = {**(table.schema.metadata or {}), KEY: room_for_checksums(groups)}
    _write(table.replace_schema_metadata(metadata), path)
    seal(path)


def written_size(table: pa.Table) -> int:
    """Returns the bytes that a file of this table takes, without its checksums."""
    out = io.BytesIO()
    _write(table, out)
    return out.tell()


def read_table(
    path: Path,
    remedy: str,
    schema: pa.Schema | None = None,
    videos: Collection[str] | None = None,
    accept: Callable[[dict[bytes, bytes]], None] = lambda metadata: None,
    footer: str = "",
) -> pa.Table:
    """Reads a table, or the columns and row groups of it that are wanted; all that is read is checked.

    Args:
        path: the file.
        remedy: what the user can do if it is damaged, for the message.
        schema: only these columns, of these types. A column whose field has the metadata `since` is null if an older
            file lacks it.
        videos: only the rows of these `video_id`. Row groups that hold none of them, by their least and greatest one,
            aren't read; `schema`, if given, must have the column.
        accept: raises a UserError if the file's metadata show that it is not the wanted file.
        footer: what `footer_of` returned of the wanted file, where that was recorded.

    Raises:
        Damaged: not Parquet, or not what was written.
        OSError: it can't be read.
    """
    with _opened(path, remedy) as table:
        accept(table.metadata)
        if (
            footer and table.recorded and footer != table.footer
        ):  # what other programs write again has none recorded
            raise Damaged(path, "another file stands in its place, sound by itself", remedy)
        groups = table.groups(videos)
        table.check(groups)
        return table.read(groups, schema, videos).replace_schema_metadata(table.metadata)


def read_metadata(path: Path, remedy: str) -> dict[bytes, bytes]:
    """Returns the key-value metadata of a table; raises as `read_table`."""
    with _opened(path, remedy) as table:
        return table.metadata


def footer_of(path: Path, remedy: str) -> str:
    """Returns what tells a table's file from others: the checksum of its footer, which has those of all its rows."""
    with _opened(path, remedy) as table:
        return table.footer


def recorded_footer(commit: Path, remedy: str) -> str:
    """Returns what `footer_of` gave of the rows beside a commit; empty where there is none, or of an older version."""
    if not commit.is_file():
        return ""
    return read_metadata(commit, remedy).get(FOOTER.encode(), b"").decode(errors="replace")


def rows_of(path: Path, remedy: str) -> int:
    """Returns how many rows a table has; raises as `read_table`."""
    with _opened(path, remedy) as table:
        return int(table.file.metadata.num_rows)


@dataclass(frozen=True)
class _Opened:
    """An open table whose footer is sound, and the checksums of its row groups; none where none were recorded."""

    path: Path
    remedy: str
    raw: IO[bytes]
    size: int
    file: pq.ParquetFile
    schema: pa.Schema
    footer_at: int
    footer: str
    recorded: tuple[str, ...]

    @property
    def metadata(self) -> dict[bytes, bytes]:
        metadata = self.file.metadata.metadata or {}
        return {key: value for key, value in metadata.items() if key not in NOT_METADATA}

    def groups(self, videos: Collection[str] | None) -> list[int]:
        """Returns the row groups that may hold rows of these videos; all where that isn't known."""
        every = list(range(self.file.num_row_groups))
        names = self.file.metadata.schema.names
        if videos is None or _ID not in names:
            return every
        column, ordered = names.index(_ID), sorted(videos)
        return [group for group in every if self._may_hold(group, column, ordered)]

    def _may_hold(self, group: int, column: int, ordered: Sequence[str]) -> bool:
        statistics = self.file.metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        at = bisect_left(ordered, str(statistics.min))
        return at < len(ordered) and ordered[at] <= str(statistics.max)

    def read(
        self, groups: Sequence[int], schema: pa.Schema | None, videos: Collection[str] | None
    ) -> pa.Table:
        """Returns the rows of these groups; of `videos` only, where they are given.

        Text is read as a dictionary first: a long one that stands in every row is small until it is written out.
        """
        wanted = self.schema if schema is None else schema
        later = [f for f in wanted if f.name not in self.schema.names and b"since" in (f.metadata or {})]
        names = [name for name in wanted.names if name not in [field.name for field in later]]
        if missing := set(names) - set(self.schema.names):
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        check_pages(self.file.metadata, self.raw, self.size, self.footer_at, groups, names)
        found = self.file.read_row_groups(groups, columns=names, use_threads=len(groups) > 1)
        if not self.recorded:
            found.validate(full=True)
        if videos is not None:
            found = found.filter(_among(found[_ID], videos))
        texts = [column for column in found.columns if pa.types.is_dictionary(column.type)]
        check_texts(texts, found.num_rows, self.size)
        for field in later:
            found = found.append_column(field, pa.nulls(found.num_rows, field.type))
        return found.select(wanted.names).cast(wanted.remove_metadata())

    def check(self, groups: Sequence[int]) -> None:
        if not self.recorded:
            return
        pieces = list(pairwise(bounds_of_groups(self.file.metadata, self.footer_at)))
        if len(pieces) != len(self.recorded):
            raise Damaged(self.path, "its checksums aren't those of its row groups", self.remedy)
        for group in groups:
            if digits_of(piece(self.raw, *pieces[group])) != self.recorded[group]:
                raise Damaged(self.path, f"row group {group} doesn't match its checksum", self.remedy)


@contextmanager
def _opened(path: Path, remedy: str) -> Iterator[_Opened]:
    try:
        with _small_in_memory(path) as raw:
            start, footer = read_footer(raw)
            recorded = recorded_checksums(footer)
            metadata = pq.read_metadata(raw)
            if not recorded and lost_checksums(metadata):
                raise ValueError("its checksums can't be read")
            size, schema = raw.seek(0, 2), metadata.schema.to_arrow_schema()
            texts = [field.name for field in schema if is_text(field.type)]
            with pq.ParquetFile(
                raw, metadata=metadata, page_checksum_verification=True, read_dictionary=texts
            ) as file:
                yield _Opened(path, remedy, raw, size, file, schema, start, digits_of(footer), recorded)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, IndexError, OverflowError, pa.ArrowException) as error:
        # The system's errors have a number: then nothing is known of the content. Arrow's OSError has none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:160]
        raise Damaged(path, f"not readable as Parquet ({reason})", remedy) from error


def _small_in_memory(path: Path) -> IO[bytes]:
    """Opens a file, or what a small one holds."""
    file = reading(path)
    if file.seek(0, 2) > SMALL:
        return file
    with file:
        file.seek(0)
        return pa.BufferReader(file.read())  # type: ignore[no-any-return]


def _write(table: pa.Table, where: Path | IO[bytes]) -> None:
    # Of long rows of bytes, such as a face's points, each byte is much the same from row to row.
    long = [field.name for field in table.schema if pa.types.is_fixed_size_binary(field.type)]
    options = {"use_byte_stream_split": long} if long else {}
    pq.write_table(
        table,
        where,
        compression="zstd",
        write_page_checksum=True,
        row_group_size=_group_rows(table.schema),
        use_dictionary=[f.name for f in table.schema if table.num_rows > FEW_ROWS and _repeats(f.type)],
        write_statistics=[name for name in table.column_names if name == _ID],
        **options,
    )


def _group_rows(schema: pa.Schema) -> int:
    return LONG_GROUP_ROWS if any(map(pa.types.is_fixed_size_binary, schema.types)) else GROUP_ROWS


def _repeats(kind: pa.DataType) -> bool:
    """Returns whether a column's values come again, so that a dictionary of them saves anything: not
    measures, nor times.
    """
    return not (pa.types.is_floating(kind) or pa.types.is_int64(kind) or pa.types.is_fixed_size_binary(kind))


def _among(ids: pa.ChunkedArray, videos: Collection[str]) -> pa.ChunkedArray:
    """Returns which rows are of these videos: asked of a dictionary's few names, not of each row's."""
    wanted = pa.array(list(videos), pa.string())
    if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):  # written without a dictionary
        return pc.is_in(ids.cast(pa.string()), value_set=wanted)
    if not pa.types.is_dictionary(ids.type):
        raise ValueError("its column video_id is no text")
    known = [pc.is_in(chunk.dictionary.cast(pa.string()), value_set=wanted) for chunk in ids.chunks]
    return pa.chunked_array(
        [names.take(chunk.indices) for names, chunk in zip(known, ids.chunks, strict=True)], pa.bool_()
    )
