"""Every kind of damage is found, nothing sound is blamed, and what was removed comes back as it was."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import QUICK, ffpp_prep, here

from ffpp_prep import read_boxes, read_videos, verify_work
from ffpp_prep.errors import Damaged, UserError
from ffpp_prep.format.checksums import read_checked_json, write_checked_json
from ffpp_prep.format.files import crc32_of, sha256_of
from ffpp_prep.format.tables import footer_of, write_table
from ffpp_prep.settings import BoxSettings
from ffpp_prep.work.store import BoxStore

SHARD = "faces/faces-00001"


@pytest.fixture(scope="module")
def extracted(quick: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WORK with crops in several shards, for which they must be large."""
    work = Path(shutil.copytree(quick, tmp_path_factory.mktemp("verify") / "work"))
    assert here("extract", work, "--codec", "raw").returncode == 0
    assert len(list((work / "faces").glob("*.h5"))) >= 2
    assert here("check-fakes", work).returncode == 0
    return work


@pytest.fixture
def work(extracted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(extracted, tmp_path / "work"))


def contents(work: Path) -> dict[Path, bytes]:
    """All files but the lock, which says who held it last."""
    files = (path for path in work.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(work): path.read_bytes() for path in files}


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
    write_checked_json(path, read_checked_json(path, "") | values)


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
    write_table(table.slice(0, table.num_rows - 1), path)
    beside = {"rows_sha256": sha256_of(path), "rows_footer_crc32": footer_of(path, "")}
    metadata = videos.schema.metadata | {key.encode(): value.encode() for key, value in beside.items()}
    write_table(videos.replace_schema_metadata(metadata), commit)


def part_with_another_count(path: Path) -> None:
    videos = pq.read_table(path)
    at = videos.schema.get_field_index("frames_with_face")
    counts = pa.array([n + 1 for n in videos["frames_with_face"].to_pylist()], pa.int32())
    write_table(videos.set_column(at, "frames_with_face", counts), path)


def check_with_another_count(path: Path) -> None:
    checks = pq.read_table(path)
    at = checks.schema.get_field_index("faces_untouched")
    counts = pa.array([n + 1 for n in checks["faces_untouched"].to_pylist()], pa.int32())
    write_table(checks.set_column(at, "faces_untouched", counts), path)


DAMAGE: list[tuple[str, Callable[[Path], None], str]] = [
    ("boxes/boxes-00000.parquet", flip, "SHA-256"),
    ("boxes/boxes-00000.parquet", Path.unlink, "missing"),
    ("boxes/boxes-00000.parquet", part_with_fewer_boxes, "boxes in 11 frames, 12 decoded"),
    ("boxes/videos-00000.parquet", pages_only, "row group 0 doesn't match its checksum"),
    ("fakes/fakes-00000.parquet", flip, "SHA-256"),
    ("fakes/videos-00000.parquet", check_with_another_count, "faces_untouched is"),
    ("boxes/videos-00000.parquet", part_with_another_count, "frames_with_face is"),
    (f"{SHARD}.h5", flip, "CRC-32"),
    (f"{SHARD}.h5", Path.unlink, "missing"),
    (f"{SHARD}.h5", lambda path: path.write_bytes(path.read_bytes()[:-100]), "bytes, not the recorded"),
    (f"{SHARD}.h5", shard_with_another_crop, "crop 0 is not what was written"),
    (f"{SHARD}.h5", shard_with_another_box, "not of the boxes in WORK/boxes"),
    (f"{SHARD}.json", lambda path: path.write_text("{"), "not readable"),
    (f"{SHARD}.json", lambda path: change_commit(path, crops=999), "not the recorded numbers"),
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
    flip((work / SHARD).with_suffix(".h5"))
    found = verify_work(work, jobs=2)
    assert found == verify_work(work) and len(found.damage) == 1


def test_a_shard_that_crashes_its_reader_is_no_damage(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = work / "hook"
    hook.mkdir()
    code = "import os, h5py, pathlib; opened = h5py.File\n"
    code += "def crashing(path, *a, **k):\n"
    code += "    os.abort() if pathlib.Path(path).stem.endswith('00001') else None\n"
    code += "    return opened(path, *a, **k)\n"
    (hook / "sitecustomize.py").write_text(code + "h5py.File = crashing\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")]))
    before = contents(work)
    result = ffpp_prep("verify", work, "--repair", "--jobs", 2)
    assert result.returncode == 3 and "damaged:" not in result.stdout
    assert f"not checked: {work / SHARD}.h5: the worker process died" in result.stdout
    assert contents(work) == before


def test_what_is_not_committed_is_no_damage(work: Path) -> None:
    (work / SHARD).with_suffix(".json").unlink()
    (work / "faces" / "manifest.json").unlink()
    (work / "boxes" / "boxes-00099.parquet").write_bytes(b"half")
    assert verify_work(work).damage == ()


def test_repair_and_run_again_gives_the_same(work: Path, extracted: Path) -> None:
    flip(work / "boxes" / "boxes-00000.parquet")
    flip((work / SHARD).with_suffix(".h5"))
    result = here("verify", work, "--repair")
    assert (
        result.returncode == 1 and result.stdout.count("damaged:") == 2 and "Traceback" not in result.stderr
    )
    assert (
        f"ffpp-prep boxes {work} --detector blazeface --retry-failed  and  ffpp-prep extract {work} --codec raw\n"
        in result.stdout
    )
    assert here("boxes", work, "--retry-failed", *QUICK).returncode == 1  # two files are no videos
    assert here("extract", work, "--codec", "raw").returncode == 0
    assert here("verify", work).returncode == 0
    assert read_boxes(work).equals(read_boxes(extracted))
    assert read_videos(work)["status"].equals(read_videos(extracted)["status"])
    for path in (extracted / "faces").glob("*.h5"):
        assert sha256_of(work / "faces" / path.name) == sha256_of(path)


def test_damaged_tables_are_one_line_elsewhere(work: Path) -> None:
    pages_only(work / "boxes" / "videos-00000.parquet")
    (work / "boxes" / "videos-00000.parquet").write_bytes(b"PAR1")
    result = here("status", work)
    assert result.returncode == 2 and f"run  ffpp-prep verify {work} --repair" in result.stderr
    assert result.stderr.count("\n") == 1
    pages_only(work / "videos.parquet")
    for command in ("verify", "status"):
        result = here(command, work)
        assert result.returncode == 2 and "videos.parquet: damaged: row group 0" in result.stderr
        assert f"scan again, with  ffpp-prep scan ROOT -o {work}" in result.stderr
    (work / "videos.parquet").unlink()
    assert here("verify", work).returncode == 2


UNREADABLE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int ends(const char *path) {
  const char *end = getenv("BAD_SUFFIX"); size_t n = strlen(path), m = strlen(end);
  return n >= m && !strcmp(path + n - m, end);
}
#define WRAP(name) int name(const char *path, int flags, ...) { va_list rest; va_start(rest, flags); \\
  int mode = va_arg(rest, int); va_end(rest); \\
  if (getenv("BAD_OPEN") && ends(path) && !(flags & O_CREAT)) { errno = atoi(getenv("BAD_OPEN")); return -1; } \\
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); return real(path, flags, mode); }
WRAP(open)
WRAP(open64)
int flock(int file, int operation) {
  char link[64], path[4096]; snprintf(link, 64, "/proc/self/fd/%d", file);
  ssize_t n = readlink(link, path, 4095); path[n > 0 ? n : 0] = 0;
  if (getenv("BAD_LOCK") && ends(path)) { errno = atoi(getenv("BAD_LOCK")); return -1; }
  return syscall(SYS_flock, file, operation);
}
"""


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes opening or locking some files fail, as drives and lock servers in trouble do."""
    folder = tmp_path_factory.mktemp("preload")
    (folder / "bad.c").write_text(UNREADABLE)
    command = ["cc", "-shared", "-fPIC", "-o", folder / "bad.so", folder / "bad.c", "-ldl"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs a C compiler")
    return folder / "bad.so"


# What can't be read: no file that ends so can be opened, or locked, for this reason.
FAULTS = {
    "videos-00000.parquet": ("BAD_OPEN", errno.EIO),
    "boxes-00000.parquet": ("BAD_OPEN", errno.ESTALE),
    "00001.h5": ("BAD_OPEN", errno.EACCES),
    "00001.json": ("BAD_OPEN", errno.EIO),
    "plan.json": ("BAD_OPEN", errno.ESTALE),
    "manifest.json": ("BAD_OPEN", errno.EIO),
    ".h5": ("BAD_LOCK", errno.ENOLCK),
    "0.h5": ("BAD_LOCK", errno.EIO),
}
# `clips.here` in a process that has loaded the library, which asks the environment at each call.
VERIFY = """
import json, os, sys
from clips import here
results = {}
for end, (what, number) in json.loads(sys.argv[2]).items():
    os.environ.update({"BAD_SUFFIX": end, what: str(number)})
    done = here("verify", f"{sys.argv[1]}/{end}", "--repair", "--jobs", 1)
    del os.environ[what]
    results[end] = [done.returncode, done.stdout, done.stderr]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def verified(
    extracted: Path, unreadable: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list]]:
    """A folder with a copy of WORK for each of FAULTS, and what `verify --repair` says of it."""
    folder = tmp_path_factory.mktemp("faults")
    for end in FAULTS:
        shutil.copytree(extracted, folder / end)
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", VERIFY, str(folder), json.dumps(FAULTS)]
    environment = {**os.environ, "LD_PRELOAD": str(unreadable), "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("end", [end for end, (what, _) in FAULTS.items() if what == "BAD_LOCK"])
def test_locks_that_fail_are_no_damage(extracted: Path, verified: tuple, end: str) -> None:
    status, out, _ = verified[1][end]
    assert status == 0 and "0 damaged" in out, out
    assert contents(verified[0] / end) == contents(extracted)


def test_locks_that_fail_in_workers_are_no_damage(work: Path, unreadable: Path) -> None:
    before = contents(work)
    bad = {"LD_PRELOAD": str(unreadable), "BAD_SUFFIX": ".h5", "BAD_LOCK": str(errno.ENOLCK)}
    result = ffpp_prep("verify", work, "--repair", "--jobs", 2, env={**os.environ, **bad})
    assert result.returncode == 0 and "0 damaged" in result.stdout, result.stdout
    assert contents(work) == before


@pytest.mark.parametrize("end", [end for end, (what, _) in FAULTS.items() if what == "BAD_OPEN"])
def test_what_cannot_be_read_is_no_damage(extracted: Path, verified: tuple, end: str) -> None:
    work, (status, out, err) = verified[0] / end, verified[1][end]
    assert status == 3 and "0 damaged" in out, out + err
    assert "not checked: " in out and os.strerror(FAULTS[end][1]) in out
    assert "nothing of it was removed" in out and "Traceback" not in err
    assert contents(work) == contents(extracted)
    assert verify_work(work).damage == ()


def flip_at(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def repaired(work: Path) -> None:
    """Repairs and runs again, as told, and is as before."""
    result = here("verify", work, "--repair")
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stdout + result.stderr
    assert here("boxes", work, "--retry-failed", *QUICK).returncode == 1  # two files are no videos
    assert here("extract", work, "--codec", "raw").returncode == 0
    assert here("verify", work).returncode == 0


@pytest.mark.parametrize("name", ["plan.json", "plan-copy.json"])
def test_a_flip_in_one_copy_of_the_plan_costs_nothing(work: Path, extracted: Path, name: str) -> None:
    size = (work / "faces" / name).stat().st_size
    for bit in np.linspace(8 * len('{ "content_crc32": '), 8 * size - 50, 12).astype(int).tolist():
        flip_at(work / "faces" / name, bit)
        found = verify_work(work, repair=True)
        assert found.shards == 2 and all(damage.remove == () for damage in found.damage)
        assert (work / "faces" / name).read_bytes() == (extracted / "faces" / name).read_bytes()
    flip(work / "faces" / name)
    if name == "plan.json":
        again = here("boxes", work, "--retry-failed", *QUICK)
        assert again.returncode == 1 and "its copy is read" in again.stderr
    result = here("verify", work, "--repair")
    assert result.returncode == 1 and result.stdout.endswith("mended\n")
    assert here("verify", work).returncode == 0


def test_a_folder_in_a_shard_s_place_ends_no_repair(work: Path) -> None:
    path = work / f"{SHARD}.h5"
    path.unlink()
    path.mkdir()
    found = verify_work(work, repair=True)
    assert not found.damage and [one.file for one in found.unread] == [path]
    assert found.unread[0].why == "a folder is in its place; move it away"
    assert path.with_suffix(".json").exists()
    path.rmdir()
    assert [one.what for one in verify_work(work, repair=True).damage] == ["missing"]
    assert not verify_work(work).damage


def test_a_lost_plan_is_that_of_its_copy(work: Path, extracted: Path) -> None:
    """A new one would take the shards for its own, whatever settings they were made with."""
    path = work / "faces/plan.json"
    path.unlink()
    assert [(one.file, one.remove) for one in verify_work(work).damage] == [(path, ())]
    other = here("extract", work, "--codec", "raw", "--size", "64")
    assert other.returncode == 2 and "--size 0 (now 64)" in other.stderr, other.stderr
    assert here("extract", work, "--codec", "raw").returncode == 0
    assert contents(work) == contents(extracted)


def test_shards_without_any_plan_are_not_taken_for_others(work: Path) -> None:
    for name in ("plan.json", "plan-copy.json"):
        (work / "faces" / name).unlink()
    other = here("extract", work, "--size", "64")
    assert (
        other.returncode == 2 and "nobody knows what the shards hold; run  ffpp-prep verify" in other.stderr
    )
    result = here("verify", work, "--repair")
    assert result.returncode == 1 and "to make it again:  ffpp-prep extract" in result.stdout
    assert not list((work / "faces").glob("faces-*")) and not verify_work(work).damage


def test_a_plan_of_before_there_were_copies_is_made_again(work: Path, extracted: Path) -> None:
    (work / "faces" / "plan-copy.json").unlink()
    flip(work / "faces" / "plan.json")
    for command in (["boxes", work, "--retry-failed", *QUICK], ["extract", work, "--codec", "raw"]):
        result = here(*command)
        assert result.returncode == 2 and f"verify {work} --repair" in result.stderr
    repaired(work)
    for path in (extracted / "faces").glob("*.h5"):
        assert sha256_of(work / "faces" / path.name) == sha256_of(path)


def as_before(path: Path) -> None:
    """Writes a part as it was written before there were checksums."""
    table = pq.read_table(path)
    metadata = {key: value for key, value in table.schema.metadata.items() if key != b"checksums"}
    pq.write_table(
        table.replace_schema_metadata(metadata), path, compression="zstd", write_page_checksum=True
    )


def test_a_flip_in_the_settings_of_a_part_is_no_dead_end(work: Path, extracted: Path) -> None:
    """Nor does it end in a traceback, with checksums and without, or cost another part."""
    commit = work / "boxes" / "videos-00000.parquet"
    for checksums in (True, False):
        if not checksums:
            as_before(commit)
        content = commit.read_bytes()
        start = content.rindex(b'{"threshold"')
        for bit in np.linspace(start * 8, (start + 250) * 8, 15).astype(int).tolist():
            flip_at(commit, bit)
            found = verify_work(work)
            assert [damage.file for damage in found.damage] == [commit], (bit, found)
            with pytest.raises(UserError, match=r"videos-00000\.parquet"):
                BoxStore(work).begin(BoxSettings())
            commit.write_bytes(content)
    flip_at(commit, start * 8)
    result = here("boxes", work, *QUICK)
    assert result.returncode == 2 and f"verify {work} --repair" in result.stderr
    repaired(work)
    assert read_boxes(work).equals(read_boxes(extracted))


@pytest.mark.parametrize("rows", [True, False])
def test_a_flip_in_boxes_is_seen_by_whoever_reads_them(work: Path, rows: bool) -> None:
    path = work / "boxes" / f"{'boxes' if rows else 'videos'}-00000.parquet"
    before = read_boxes(work)
    content = path.read_bytes()
    for bit in np.linspace(0, len(content) * 8 - 1, 100).astype(int).tolist():
        flip_at(path, bit)
        with suppress(Damaged):
            assert read_boxes(work).equals(before), bit
        path.write_bytes(content)


def test_a_work_folder_of_before_there_were_checksums(work: Path, extracted: Path) -> None:
    for path in work.rglob("*.parquet"):
        as_before(path)
    for commit in (work / "boxes").glob("videos-*.parquet"):
        table = pq.read_table(commit)
        sha = sha256_of(commit.with_name(commit.name.replace("videos", "boxes"))).encode()
        metadata = {key: value for key, value in table.schema.metadata.items() if key != b"rows_footer_crc32"}
        pq.write_table(table.replace_schema_metadata(metadata | {b"rows_sha256": sha}), commit)
    for commit in (work / "fakes").glob("videos-*.parquet"):
        table = pq.read_table(commit)
        sha = sha256_of(commit.with_name(commit.name.replace("videos", "fakes"))).encode()
        metadata = {key: value for key, value in table.schema.metadata.items() if key != b"rows_footer_crc32"}
        pq.write_table(table.replace_schema_metadata(metadata | {b"rows_sha256": sha}), commit)
    (work / "faces" / "plan-copy.json").unlink()
    for path in (work / "faces").glob("*.json"):
        content = read_checked_json(path, "")
        for entry in (content, *content.get("shards", [])):
            if isinstance(entry, dict):
                entry.pop("blob", None)
                entry.pop("index_crc32", None)
        path.write_text(json.dumps(content))
    found = verify_work(work)
    assert found.damage == found.unread == () and found.crops == verify_work(extracted).crops
    assert read_boxes(work).equals(read_boxes(extracted)) and read_videos(work).equals(read_videos(extracted))
    result = here("extract", work, "--codec", "raw")
    assert result.returncode == 0 and "extract: 0 shards" in result.stdout
    assert verify_work(work).damage == ()


def test_a_lost_format_version_is_no_dead_end(work: Path, extracted: Path) -> None:
    """In files of before there were checksums; another version is another program's, and stays."""
    commit, plan = work / "boxes/videos-00000.parquet", work / "faces/plan.json"
    as_before(commit)
    table = pq.read_table(commit)
    for version in (b"2", b"?"):
        metadata = table.schema.metadata | {b"format_version": version}
        pq.write_table(table.replace_schema_metadata(metadata), commit)
        found = verify_work(work)
        assert [one.file for one in found.damage] == [commit] * (version == b"?")
        assert ["format version 2" in one.why for one in found.unread] == [True] * (version == b"2")
    with pytest.raises(
        Damaged, match=f"its format version is missing; run  ffpp-prep verify {work} --repair"
    ):
        read_boxes(work)
    shutil.copyfile(extracted / "boxes/videos-00000.parquet", commit)
    plan.write_text("{}")
    (damage,) = verify_work(work, repair=True).damage
    assert damage.file == plan and plan.read_bytes() == (extracted / "faces/plan.json").read_bytes()
