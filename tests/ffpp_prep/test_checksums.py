"""A flipped bit anywhere in a file that carries its checksum is seen, and named; files of before are still read."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ffpp_prep.cli import main
from ffpp_prep.errors import Damaged
from ffpp_prep.format import table_sizes
from ffpp_prep.format.checksums import check_zip, read_checked_json, write_checked_json
from ffpp_prep.format.files import crc32_of, sha256_of
from ffpp_prep.format.pages import pages
from ffpp_prep.format.tables import FEW_ROWS, GROUP_ROWS, read_metadata, read_table, write_table
from ffpp_prep.machine import content_of, reading
from ffpp_prep.work.lock import only_run

REMEDY = "do this"
SOME = pa.schema([("video_id", pa.string()), ("score", pa.float32())])


def flipped(path: Path, number: int) -> Iterator[int]:
    """Flips bits of a file in turn, `number` of them all over it; restores each."""
    content = path.read_bytes()
    for bit in np.linspace(0, len(content) * 8 - 1, number).astype(int).tolist():
        path.write_bytes(
            content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]
        )
        yield bit
    path.write_bytes(content)


def table(rows: int) -> pa.Table:
    names = pa.array([f"v{i // 300:05d}" for i in range(rows)], pa.string()).dictionary_encode()
    columns = {"video_id": names, "score": np.arange(rows, dtype="f4"), "same": np.zeros(rows, bool)}
    return pa.table(columns).replace_schema_metadata({"format_version": "1", "settings": '{"a": 1}'})


def unseen(path: Path, number: int, read: Callable[[Path], object], same: Callable[[object], bool]) -> int:
    """How many flips are neither seen nor harmless."""
    count = 0
    for _ in flipped(path, number):
        try:
            count += not same(read(path))
        except Damaged as error:
            assert str(path) in str(error) and REMEDY in str(error)
    assert same(read(path))
    return count


@pytest.mark.parametrize("rows", [0, 7, GROUP_ROWS, 2 * GROUP_ROWS + 1])
def test_every_bit_of_a_table(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "table.parquet"
    write_table(table(rows), path)
    same = lambda found: found.equals(table(rows), check_metadata=True)  # noqa: E731
    assert unseen(path, 1000, lambda p: read_table(p, REMEDY), same) == 0


def test_every_bit_of_the_rows_that_are_read_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(table(3 * GROUP_ROWS), path)
    whole = read_table(path, REMEDY)
    found = read_table(path, REMEDY, SOME, {"v00030", "v00031", "of another part"})
    assert found.equals(whole.slice(30 * 300, 2 * 300).select(SOME.names).cast(SOME))
    read = lambda p: read_table(p, REMEDY, SOME, {"v00030", "v00031"})  # noqa: E731
    assert unseen(path, 1000, read, lambda again: again.equals(found)) == 0


def test_a_video_is_found_by_the_ids_of_its_row_group_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The footer is read for every video, so it says no more of its many row groups than that."""
    path, taken = tmp_path / "table.parquet", []
    write_table(table(20 * GROUP_ROWS), path)
    metadata = pq.read_metadata(path)
    for group in map(metadata.row_group, range(20)):
        columns = map(group.column, range(group.num_columns))
        assert [one.path_in_schema for one in columns if one.statistics is not None] == ["video_id"]
    read = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda file, groups, **named: taken.append(groups) or read(file, groups, **named),
    )
    assert len(read_table(path, REMEDY, SOME, {"v00301"})) == 300
    assert taken == [[301 * 300 // GROUP_ROWS]]


def test_every_bit_of_metadata(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(table(7), path)
    told = {b"format_version": b"1", b"settings": b'{"a": 1}'}
    assert unseen(path, 1000, lambda p: read_metadata(p, REMEDY), lambda found: found == told) == 0


def test_a_table_of_before_and_one_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(table(2 * GROUP_ROWS), path, write_page_checksum=True)
    assert read_table(path, REMEDY).equals(table(2 * GROUP_ROWS), check_metadata=True)
    assert read_table(path, REMEDY, videos={"v00001"}).equals(
        table(2 * GROUP_ROWS).slice(300, 300), check_metadata=True
    )  # of one row group
    track = pa.field("track", pa.int32())
    with pytest.raises(Damaged, match=r"it has no column track\); do this"):
        read_table(path, REMEDY, pa.schema([*SOME, track]))
    later = read_table(path, REMEDY, pa.schema([track.with_metadata({"since": "0.2"}), *SOME]))
    assert later.column_names == ["track", *SOME.names] and later["track"].null_count == len(later)
    with pytest.raises(Damaged, match="not readable as Parquet"):
        read_table(path, REMEDY, pa.schema([("video_id", pa.int32())]))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_names_without_a_dictionary_are_found_too(tmp_path: Path, kind: pa.DataType) -> None:
    """As pandas and other programs write them."""
    path = tmp_path / "table.parquet"
    plain = table(2 * GROUP_ROWS)
    names = plain["video_id"].cast(pa.string()).cast(kind)
    pq.write_table(plain.set_column(plain.schema.get_field_index("video_id"), "video_id", names), path)
    found = read_table(path, REMEDY, videos={"v00001"})
    assert found["video_id"].to_pylist() == ["v00001"] * 300


def test_any_parquet_reader_reads_a_table_with_checksums(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(table(2 * GROUP_ROWS), path)
    found = pq.read_table(path, page_checksum_verification=True)
    assert found.equals(table(2 * GROUP_ROWS))
    pq.write_table(found, path)  # and writes it, with the metadata that it found
    assert read_table(path, REMEDY).equals(table(2 * GROUP_ROWS), check_metadata=True)


def zeros(path: Path) -> None:
    part = pa.table({"x": np.zeros(1 << 20)})
    with pq.ParquetWriter(path, part.schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(40):
            writer.write_table(part)


def one_long_text(path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(np.zeros(1000, "i4"), ["x" * 500_000])
    pq.write_table(pa.table({"x": texts.cast(pa.string())}), path, compression="zstd")


def many_rows(path: Path) -> None:
    part = pa.table({"x": np.zeros(1 << 22, bool)})
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(70):
            writer.write_table(part)


@pytest.mark.parametrize("bomb", [zeros, one_long_text, many_rows])
def test_a_table_larger_than_its_file_can_hold_is_refused_before_memory_is_asked_for(
    tmp_path: Path, bomb: Callable[[Path], None]
) -> None:
    path = tmp_path / "bomb.parquet"
    bomb(path)
    assert path.stat().st_size < 1 << 20
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(Damaged, match=r"rows of 0\.\d GB in a file of"):
        read_table(path, REMEDY)
    assert pa.default_memory_pool().max_memory() - before < 100 << 20


def test_short_texts_of_few_rows_are_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    write_table(table(7), path)
    monkeypatch.delattr(table_sizes, "_written_out")
    assert len(read_table(path, REMEDY)) == 7


def test_every_bit_of_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    content = {"shards": [["a", 0, 12], ["ü\udc80", 1, 0.1]], "settings": {"margin": 0.3, "codec": "webp"}}
    write_checked_json(path, content)
    bits = path.stat().st_size * 8
    read = lambda p: {k: v for k, v in read_checked_json(p, REMEDY).items() if k in content}  # noqa: E731
    assert unseen(path, bits, read, lambda found: found == content) == 0
    path.write_text(json.dumps(content))
    assert read(path) == content  # of before
    for text in ("[]", "[" * 100_000, "", "3", '"\udc80"'.encode(errors="surrogatepass")):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(Damaged, match=r"plan\.json: damaged: .*; do this"):
            read_checked_json(path, REMEDY)


def test_every_bit_of_what_torch_saves(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    weights = torch.arange(500, dtype=torch.float32)
    torch.save({"weights": weights, "epoch": 3}, path)

    def read(path: Path) -> object:
        check_zip(path, REMEDY)
        try:
            return torch.load(path, weights_only=True)
        except Exception:  # not silently: that is the caller's to say
            raise Damaged(path, "not readable", REMEDY) from None

    def same(found: object) -> bool:
        return isinstance(found, dict) and found["epoch"] == 3 and torch.equal(found["weights"], weights)

    assert unseen(path, 1000, read, same) == 0


def test_what_the_system_cannot_read_is_no_damage(tmp_path: Path) -> None:
    for read in (read_table, read_metadata, read_checked_json, check_zip):
        with pytest.raises(IsADirectoryError):
            read(tmp_path, REMEDY)  # type: ignore[operator]


def lying_page(path: Path) -> None:
    """The page's header says that it is 1 GB; the footer says what it is."""
    values = pa.table({"x": np.arange(1000) % 7})
    pq.write_table(values, path, compression="zstd", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    # fields 1 to 4, each a 5-byte number at most: kind, size, stored, checksum; then the struct of the values
    assert content[4:7] == b"\x15\x00\x15"
    at = 7
    while content[at] >= 128:
        at += 1
    assert content[at + 1] == 0x15
    stored = at + 2
    end = stored
    while content[end] >= 128:
        end += 1
    assert content[end + 1] == 0x15
    crc = end + 2
    while content[crc] >= 128:
        crc += 1
    assert content[crc + 1] == 0x1C
    size, number = 1 << 30, bytearray()
    zigzag = size << 1
    while zigzag >= 128:
        number.append(zigzag & 127 | 128)
        zigzag >>= 7
    number.append(zigzag)
    kept = content[stored : end + 1]
    room = (crc + 1 - 7) - len(number) - 1
    padded = kept[:-1] + bytes([kept[-1] | 128]) + b"\x80" * (room - len(kept) - 1) + b"\0"
    content[7 : crc + 2] = (
        number + b"\x15" + padded + b"\x2c"
    )  # without its checksum: the struct is two fields on
    path.write_bytes(content)


def beginnings(path: Path) -> None:
    """Each text begins with all of the one before it."""
    texts = ["x" * 200_000 + str(i) for i in range(2000)]
    table = pa.table({"x": texts[:1]})
    with pq.ParquetWriter(
        path,
        table.schema,
        use_dictionary=False,
        column_encoding={"x": "DELTA_BYTE_ARRAY"},
        compression="zstd",
    ) as writer:
        writer.write_table(pa.table({"x": texts}))


def long_fixed(path: Path) -> None:
    kind = pa.binary(1 << 20)
    texts = pa.DictionaryArray.from_arrays(np.zeros(400, "i4"), pa.array([bytes(1 << 20)], kind))
    pq.write_table(pa.table({"x": texts}), path, compression="zstd", store_schema=False)


@pytest.mark.parametrize("bomb", [lying_page, beginnings, long_fixed])
def test_pages_are_measured_before_memory_is_asked_for(tmp_path: Path, bomb: Callable[[Path], None]) -> None:
    path = tmp_path / "bomb.parquet"
    bomb(path)
    pa.default_memory_pool().release_unused()
    assert path.stat().st_size < 8 << 20
    script = (
        "import sys, pathlib, resource; from ffpp_prep.errors import Damaged\n"
        "from ffpp_prep.format.tables import read_table\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_table(pathlib.Path(sys.argv[1]), 'do this')\n"
        "except Damaged as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    said, grown = answer.stdout.splitlines()
    assert "rows of" in said and "in a file of" in said and said.endswith("do this")
    assert int(grown) < 100_000  # kB


def test_a_page_s_header_that_counts_without_end_is_refused_at_once() -> None:
    """Flags in a list take a byte each, so that their number is bounded by the header's bytes."""
    for flag in (1, 2):
        header = bytes([0x19, 0xF0 | flag, *[0xFF] * 8, 0x7F])  # field 1: a list of 2^63 - 1 flags
        with pytest.raises(ValueError, match="a page has no header"):
            list(pages(io.BytesIO(header), 0, len(header)))


def test_few_rows_are_written_without_dictionaries(tmp_path: Path) -> None:
    """A page less to read of each column; more rows have them."""
    for rows, has in ((80, False), (2 * FEW_ROWS, True)):
        write_table(pa.table({"status": ["ok"] * rows}), tmp_path / "t.parquet")
        assert pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0).has_dictionary_page is has


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of Unix")
def test_no_pipe_or_device_in_a_file_s_place_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file of WORK in turn; what isn't noticed here at once would hang for ever."""
    work = tmp_path / "work"
    shutil.copytree(Path(__file__).parents[1] / "old" / "work", work)
    for path in [path for path in work.rglob("*") if path.is_file()]:
        kept = path.rename(tmp_path / "kept")
        os.mkfifo(path)
        for command in ("status", "verify"):
            status = main([command, str(work), "-q"])
            said = capsys.readouterr().err.strip()
            assert status in (0, 1, 2, 3) and "Traceback" not in said
            assert status != 2 or ("\n" not in said and path.name in said)
        path.unlink()
        kept.rename(path)
    os.mkfifo(work / "boxes" / "pipe")
    (work / "boxes" / "zero").symlink_to("/dev/zero")
    for read in (reading, content_of, crc32_of, sha256_of):
        for name, kind in (("pipe", "a named pipe"), ("zero", "a device"), ("", "a folder")):
            with pytest.raises(OSError, match=f"this is {kind}, not a file"):
                read(work / "boxes" / name)
    (work / ".lock").unlink()
    os.mkfifo(work / ".lock")
    with pytest.raises(FileNotFoundError, match="this is a named pipe"), only_run(work):
        pass
