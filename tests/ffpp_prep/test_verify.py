"""Every kind of damage is found, nothing sound is blamed, and what was removed comes back as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import ffpp_prep

from ffpp_prep import read_boxes, read_videos, verify_work
from ffpp_prep.files import crc32_of, sha256_of

SHARD = "faces/faces-00001"


@pytest.fixture(scope="module")
def extracted(detected: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WORK with crops in several shards, for which they must be large."""
    work = shutil.copytree(detected, tmp_path_factory.mktemp("verify") / "work")
    assert ffpp_prep("extract", work, "--jobs", 2, "--codec", "raw").returncode == 0
    assert len(list((work / "faces").glob("*.h5"))) >= 2
    assert ffpp_prep("check-fakes", work, "--jobs", 2).returncode == 0
    return Path(work)


@pytest.fixture
def work(extracted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(extracted, tmp_path / "work"))


def flip(path: Path, share: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 0x10
    path.write_bytes(content)


def pages_only(path: Path) -> None:
    """Flips a bit of the first page's data and leaves the rest of the Parquet file readable."""
    meta = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[meta.data_page_offset + meta.total_compressed_size - 3] ^= 0x10
    path.write_bytes(content)


def change_commit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def shard_with_another_crop(path: Path) -> None:
    """A changed crop with a checksum to match: only its own CRC-32 tells."""
    with h5py.File(path, "r+") as file:
        file["blob"][100] ^= 1
    change_commit(path.with_suffix(".json"), crc32=crc32_of(path))


def shard_with_another_box(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["box"][0] = file["box"][0] + np.float32(1)
    change_commit(path.with_suffix(".json"), crc32=crc32_of(path))


def part_with_fewer_boxes(path: Path) -> None:
    """A part without its last row, and the checksum to match: only the counts tell."""
    commit = path.with_name(path.name.replace("boxes", "videos"))
    table, videos = pq.read_table(path), pq.read_table(commit)
    pq.write_table(table.slice(0, table.num_rows - 1), path)
    metadata = videos.schema.metadata | {b"rows_sha256": sha256_of(path).encode()}
    pq.write_table(videos.replace_schema_metadata(metadata), commit)


def part_with_another_count(path: Path) -> None:
    videos = pq.read_table(path)
    at = videos.schema.get_field_index("frames_with_face")
    counts = pa.array([n + 1 for n in videos["frames_with_face"].to_pylist()], pa.int32())
    pq.write_table(videos.set_column(at, "frames_with_face", counts), path)


def check_with_another_count(path: Path) -> None:
    checks = pq.read_table(path)
    at = checks.schema.get_field_index("faces_untouched")
    counts = pa.array([n + 1 for n in checks["faces_untouched"].to_pylist()], pa.int32())
    pq.write_table(checks.set_column(at, "faces_untouched", counts), path)


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("boxes/boxes-00000.parquet", flip, "SHA-256"),
    ("boxes/boxes-00000.parquet", Path.unlink, "missing"),
    ("boxes/boxes-00000.parquet", part_with_fewer_boxes, "boxes in 11 frames, 12 were decoded"),
    ("boxes/videos-00000.parquet", pages_only, "not readable"),
    ("fakes/fakes-00000.parquet", flip, "SHA-256"),
    ("fakes/videos-00000.parquet", check_with_another_count, "faces_untouched is"),
    ("boxes/videos-00000.parquet", part_with_another_count, "frames_with_face is"),
    (f"{SHARD}.h5", flip, "CRC-32"),
    (f"{SHARD}.h5", Path.unlink, "missing"),
    (f"{SHARD}.h5", lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes, not the recorded"),
    (f"{SHARD}.h5", shard_with_another_crop, "crop 0 is not what was written"),
    (f"{SHARD}.h5", shard_with_another_box, "not of the boxes in WORK/boxes"),
    (f"{SHARD}.json", lambda path: path.write_text("{"), "not readable"),
    (f"{SHARD}.json", lambda path: change_commit(path, crops=1), "not the recorded numbers"),
    ("faces/manifest.json", lambda path: change_commit(path, shards=[]), "doesn't list the shards"),
]


def test_a_sound_folder(work: Path) -> None:
    found = verify_work(work)
    assert found.damage == () and found.parts == len(list(work.glob("*/videos-*.parquet"))) >= 2
    assert found.boxes == len(read_boxes(work))
    shards = list((work / "faces").glob("*.h5"))
    assert found.shards == len(shards) and found.bytes == sum(p.stat().st_size for p in shards)
    assert found.crops == sum(len(h5py.File(p)["frame"]) for p in shards)


@pytest.mark.parametrize(("file", "damage", "words"), DAMAGE, ids=[f"{d[0]}-{d[2]}" for d in DAMAGE])
def test_damage_is_found_where_it_is(
    work: Path, file: str, damage: Callable[[Path], None], words: str
) -> None:
    damage(work / file)
    found = verify_work(work)
    assert any(words in d.what and work / file in (d.file, *d.remove) for d in found.damage), found.damage
    others = {p.name for d in found.damage for p in d.remove} - {"manifest.json", Path(file).name}
    assert {name.split(".")[0].split("-")[1] for name in others} <= {file.split("-")[-1].split(".")[0]}


def test_several_processes_find_the_same(work: Path) -> None:
    assert verify_work(work, jobs=2) == verify_work(work)
    flip((work / SHARD).with_suffix(".h5"))
    found = verify_work(work, jobs=2)
    assert found == verify_work(work) and len(found.damage) == 1


def test_a_shard_that_crashes_its_reader_is_damaged(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = work / "hook"
    hook.mkdir()
    code = "import os, h5py, pathlib; opened = h5py.File\n"
    code += "def crashing(path, *a, **k):\n"
    code += "    os.abort() if pathlib.Path(path).stem.endswith('00001') else None\n"
    code += "    return opened(path, *a, **k)\n"
    (hook / "sitecustomize.py").write_text(code + "h5py.File = crashing\n")
    monkeypatch.setenv("PYTHONPATH", str(hook))
    result = ffpp_prep("verify", work, "--jobs", 2)
    assert result.returncode == 1 and result.stdout.count("damaged:") == 1
    assert f"{SHARD}.h5: the worker process died" in result.stdout


def test_what_is_not_committed_is_no_damage(work: Path) -> None:
    (work / SHARD).with_suffix(".json").unlink()
    (work / "faces" / "manifest.json").unlink()
    (work / "boxes" / "boxes-00099.parquet").write_bytes(b"half")
    assert verify_work(work).damage == ()


def test_repair_and_run_again_gives_the_same(work: Path, extracted: Path) -> None:
    flip(work / "boxes" / "boxes-00000.parquet")
    flip((work / SHARD).with_suffix(".h5"))
    result = ffpp_prep("verify", work, "--repair")
    assert (
        result.returncode == 1 and result.stdout.count("damaged:") == 2 and "Traceback" not in result.stderr
    )
    assert (
        f"ffpp-prep boxes {work} --retry-failed  and  ffpp-prep extract {work} --codec raw\n" in result.stdout
    )
    assert ffpp_prep("boxes", work, "--retry-failed", "--jobs", 2).returncode == 1  # two files are no videos
    assert ffpp_prep("extract", work, "--jobs", 2, "--codec", "raw").returncode == 0
    assert ffpp_prep("verify", work).returncode == 0
    assert read_boxes(work).equals(read_boxes(extracted))
    assert read_videos(work)["status"].equals(read_videos(extracted)["status"])
    for path in (extracted / "faces").glob("*.h5"):
        assert sha256_of(work / "faces" / path.name) == sha256_of(path)


def test_damaged_tables_are_one_line_elsewhere(work: Path) -> None:
    pages_only(work / "boxes" / "videos-00000.parquet")
    (work / "boxes" / "videos-00000.parquet").write_bytes(b"PAR1")
    result = ffpp_prep("status", work)
    assert result.returncode == 2 and "verify WORK --repair" in result.stderr
    assert result.stderr.count("\n") == 1
    pages_only(work / "videos.parquet")
    for command in ("verify", "status"):
        result = ffpp_prep(command, work)
        assert result.returncode == 2 and "videos.parquet: not readable" in result.stderr
    (work / "videos.parquet").unlink()
    assert ffpp_prep("verify", work).returncode == 2
