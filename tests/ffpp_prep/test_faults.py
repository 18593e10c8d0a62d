"""Kills at every commit step, a full disk, hostile files: nothing lost, nothing half-written, nothing silent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import encode, ffpp_prep
from test_extract import stored
from test_jobs import wait_for

from ffpp_prep import read_boxes, read_videos

# Put on PYTHONPATH, this kills the whole run, workers and all, at one rename: before it or after it.
KILLER = """
import os, pathlib, signal
name, when = os.environ["KILL_AT"].split(":")
rename = pathlib.Path.replace
def replace(self, target):
    hit = pathlib.Path(target).name == name
    if hit and when == "before":
        os.killpg(0, signal.SIGKILL)
    result = rename(self, target)
    if hit and when == "after":
        os.killpg(0, signal.SIGKILL)
    return result
pathlib.Path.replace = replace
"""


def killed_at(step: str, tmp_path: Path, *arguments: object) -> None:
    """Runs the command and has it killed at a commit step, `FILE:before` or `FILE:after` its rename."""
    hook = tmp_path / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(KILLER)
    environment = {**os.environ, "PYTHONPATH": str(hook), "KILL_AT": step}
    command = [sys.executable, "-m", "ffpp_prep", *map(str, arguments)]
    process = subprocess.run(
        command, env=environment, start_new_session=True, capture_output=True, timeout=300
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


def same_boxes(a: Path, b: Path) -> None:
    pd.testing.assert_frame_equal(read_boxes(a), read_boxes(b))
    columns = ["video_id", "status", "error", "frames_decoded", "frames_with_face", "multiple_faces"]
    pd.testing.assert_frame_equal(read_videos(a)[columns], read_videos(b)[columns])


def no_leftovers(folder: Path) -> None:
    assert not [p.name for p in folder.rglob("*") if p.name.startswith(".tmp-")]


@pytest.mark.parametrize("file", ["videos.parquet", "boxes-00000.parquet", "videos-00000.parquet"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_boxes_after_a_kill(tree: Path, detected: Path, tmp_path: Path, file: str, when: str) -> None:
    work = tmp_path / "work"
    killed_at(f"{file}:{when}", tmp_path, "boxes", tree, "-o", work, "--jobs", 2)
    assert ffpp_prep("boxes", tree, "-o", work, "--jobs", 2).returncode == 1  # the two bad files
    same_boxes(work, detected)
    no_leftovers(work / "boxes")


@pytest.mark.parametrize("file", ["plan.json", "faces-00000.h5", "faces-00000.json", "manifest.json"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_extract_after_a_kill(detected: Path, extracted: Path, tmp_path: Path, file: str, when: str) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    killed_at(f"{file}:{when}", tmp_path, "extract", work, "--jobs", 2)
    assert ffpp_prep("extract", work, "--jobs", 2).returncode == 0
    a, b = stored(work), stored(extracted)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    no_leftovers(work / "faces")


def test_a_full_disk_ends_the_run_and_loses_nothing(detected: Path, extracted: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True
    ).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        work = small / "work"
        shutil.copytree(detected, work)
        result = ffpp_prep("extract", work)
        assert result.returncode == 3 and result.stderr.count("\n") == 1, result.stderr
        assert "free space and run the same command again" in result.stderr
        no_leftovers(work / "faces")
        subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
        assert ffpp_prep("extract", work).returncode == 0
        a, b = stored(work), stored(extracted)
        assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def hostile_files(folder: Path, count: int, source: bytes) -> list[Path]:
    """Bit flips, truncations, wrong content, zero bytes and absurd sizes, all with video names; seeded."""
    rng = np.random.default_rng(0)
    absurd = bytearray(source)
    at = absurd.index(b"avc1") + 4 + 24  # width and height of the sample entry
    absurd[at : at + 4] = b"\xff\xff\xff\xff"
    paths = []
    for i in range(count):
        content = bytearray(source)
        kind = i % 5
        if kind == 0:
            for position in rng.integers(0, len(content), 40):
                content[position] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content = content[: int(rng.integers(0, len(content)))]
        elif kind == 2:
            content = bytearray(rng.bytes(int(rng.integers(1, 5000))))
        elif kind == 3:
            content = absurd if i % 2 else bytearray()
        else:
            start, stop = sorted(rng.integers(0, len(content), 2))
            content[start:stop] = rng.bytes(int(stop - start))
        suffix = (".mp4", ".avi", ".mkv", ".webm", ".mov")[i % 5]
        path = folder / f"{i:03d}{suffix}"
        path.write_bytes(content)
        paths.append(path)
    return paths


def run_hostile(tmp_path: Path, head: list, count: int) -> pd.DataFrame:
    fake = tmp_path / "root" / "fake"
    fake.mkdir(parents=True)
    source = encode(tmp_path / "good.mp4", head[:4]).read_bytes()
    hostile_files(fake, count, source)
    (fake / "whole.mp4").write_bytes(source)
    work = tmp_path / "work"
    result = ffpp_prep("boxes", tmp_path / "root", "-o", work, "--jobs", 2, "--timeout", 60)
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    return read_videos(work).set_index("video_id")


def test_hostile_files_are_rows(tmp_path: Path, head: list) -> None:
    videos = run_hostile(tmp_path, head, 30)
    assert len(videos) == 31 and videos["status"].notna().all()
    assert videos.loc["fake/whole.mp4", "status"] == "ok"
    failed = videos[videos["status"].isin(["open_failed", "decode_failed"])]
    assert len(failed) >= 15 and (failed["error"].str.len() > 5).all()
    assert not failed["error"].str.contains("\n").any()


@pytest.mark.full
def test_three_hundred_hostile_files(tmp_path: Path, head: list) -> None:
    videos = run_hostile(tmp_path, head, 300)
    assert len(videos) == 301 and videos["status"].notna().all()


GROWTH = """
import sys
from pathlib import Path
from ffpp_prep.boxes import BoxSettings, detect_video
from ffpp_prep.detector import load_detector
detector = load_detector("litert")
for _ in range(4):
    for path in sorted(Path(sys.argv[1]).iterdir()):
        detect_video(path.name, str(path), detector, BoxSettings(every=4))
    print(int(Path("/proc/self/statm").read_text().split()[1]) * 4)
"""


@pytest.mark.full
def test_hostile_files_cost_no_memory(tmp_path: Path, head: list) -> None:
    (tmp_path / "files").mkdir()
    hostile_files(tmp_path / "files", 300, encode(tmp_path / "good.mp4", head[:4]).read_bytes())
    command = [sys.executable, "-c", GROWTH, str(tmp_path / "files")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=True)
    held = [int(kilobytes) for kilobytes in done.stdout.split()]
    assert held[-1] - held[1] < 4 << 10  # in 600 files: less than one frame in ten


def test_retry_failed_tries_only_the_failed(tree: Path, detected: Path, tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    shutil.copytree(tree, root)
    assert ffpp_prep("boxes", root, "-o", work).returncode == 1
    broken = root / "original_sequences" / "youtube" / "c23" / "videos" / "900.mp4"
    shutil.copy(broken.with_name("000.mp4"), broken)
    untouched = ffpp_prep("boxes", work)
    assert "nothing left to do" in untouched.stdout and untouched.returncode == 1
    again = ffpp_prep("boxes", work, "--retry-failed")
    assert "1 ok, 1 open_failed; 6 done before" in again.stdout
    videos = read_videos(work).set_index("video_id")
    assert videos.loc["original_sequences/youtube/c23/videos/900.mp4", "status"] == "ok"
    assert len(videos) == 8


def test_two_runs_at_once(detected: Path, tmp_path: Path) -> None:
    import fcntl

    work = tmp_path / "work"
    shutil.copytree(detected, work)
    with (work / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ("boxes", "extract"):
            result = ffpp_prep(command, work)
            assert result.returncode == 2 and "another ffpp-prep run is at work" in result.stderr


def test_interrupt_commits_and_says_how_to_go_on(tmp_path: Path, head: list) -> None:
    real = tmp_path / "root" / "real"
    for i in range(6):
        encode(real / f"{i}.mp4", head[:4] if i == 0 else head[:30])
    work = tmp_path / "work"
    assert ffpp_prep("scan", tmp_path / "root", "-o", work).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "ffpp_prep", "boxes", str(work), "--jobs", "1"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    # The second video's marker: the first is done, and nothing is committed yet.
    wait_for(lambda: list(tmp_path.glob("ffpp-prep-*/1")), seconds=60)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again to go on" in errors
    assert "Traceback" not in errors
    done = read_videos(work)["status"].notna().sum()
    assert 1 <= done < 6
    assert ffpp_prep("boxes", work).returncode == 0
    assert (read_videos(work)["status"] == "ok").all()


def test_a_crop_that_can_no_longer_be_read_is_reported(tree: Path, detected: Path, tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    shutil.copytree(tree, root)
    assert ffpp_prep("boxes", root, "-o", work).returncode == 1
    gone = root / "manipulated_sequences" / "FaceSwap" / "c23" / "videos" / "000_001.mp4"
    gone.unlink()
    result = ffpp_prep("extract", work)
    assert (
        result.returncode == 1
        and "crops missing of manipulated_sequences/FaceSwap/c23/videos/000_001.mp4" in result.stdout
    )
    manifest = json.loads((work / "faces" / "manifest.json").read_text())
    assert sum(m["count"] for s in manifest["shards"] for m in s["missing"]) > 0
    assert not any("FaceSwap/c23/videos/000_001" in v for v, _, _ in stored(work))
