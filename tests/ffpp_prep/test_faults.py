"""Kills at every commit step, a full disk, two runs at once: nothing lost, nothing half-written, nothing silent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clips import QUICK, encode, ffpp_prep, here
from crops import expected, stored
from test_jobs import wait_for
from test_video import cut_within

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.stages import extract
from ffpp_prep.work.lock import only_run

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


def steps(*files: str, always: tuple[str, ...]) -> list[object]:
    """Before and after each file's rename; of these, `make test` takes those of `always`."""
    every = (f"{file}:{when}" for file in files for when in ("before", "after"))
    return [pytest.param(step, marks=() if step in always else pytest.mark.full) for step in every]


@pytest.mark.parametrize(
    "step",
    steps(
        *("videos.parquet", "progress.json", "boxes-00000.parquet", "videos-00000.parquet"),
        always=("videos.parquet:before", "boxes-00000.parquet:after"),
    ),
)
def test_boxes_after_a_kill(tree: Path, quick: Path, tmp_path: Path, step: str) -> None:
    work = tmp_path / "work"
    killed_at(step, tmp_path, "boxes", tree, "-o", work, *QUICK, "--jobs", 1)
    assert here("boxes", tree, "-o", work, *QUICK).returncode == 1  # the two bad files
    same_boxes(work, quick)
    no_leftovers(work)


@pytest.mark.parametrize(
    "step",
    steps(
        *("plan.json", "faces-00000.h5", "faces-00000.json", "manifest.json"),
        always=("plan.json:after", "faces-00000.h5:after"),
    ),
)
def test_extract_after_a_kill(detected: Path, extracted: Path, tmp_path: Path, step: str) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    killed_at(step, tmp_path, "extract", work, "--jobs", 1)
    assert here("extract", work).returncode == 0
    a, b = stored(work), stored(extracted)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
    no_leftovers(work)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_extract_and_loses_nothing(detected: Path, extracted: Path, small: Path) -> None:
    work = small / "work"
    shutil.copytree(detected, work)
    says_the_disk_is_full(ffpp_prep("extract", work, "--jobs", 1))
    no_leftovers(work / "faces")
    subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
    assert here("extract", work).returncode == 0
    a, b = stored(work), stored(extracted)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.full
@pytest.mark.parametrize("left", [0, 8 << 10])  # nothing can be written; what is done can't be committed
def test_a_full_disk_ends_boxes_and_loses_nothing(tree: Path, quick: Path, small: Path, left: int) -> None:
    work = small / "work"
    assert here("scan", tree, "-o", work).returncode == 0
    (small / "other").write_bytes(bytes(shutil.disk_usage(small).free - left))
    says_the_disk_is_full(ffpp_prep("boxes", work, *QUICK, "--jobs", 1))
    no_leftovers(work)
    (small / "other").unlink()
    assert here("boxes", work, *QUICK).returncode == 1  # the two bad files
    same_boxes(work, quick)


def says_the_disk_is_full(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 3 and result.stderr.count("\n") == 1, result.stderr
    assert "free space and run the same command again" in result.stderr


def test_retry_failed_tries_only_the_failed(tree: Path, tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    shutil.copytree(tree, root)
    assert here("boxes", root, "-o", work, *QUICK).returncode == 1
    broken = root / "original_sequences" / "youtube" / "c23" / "videos" / "900.mp4"
    shutil.copy(broken.with_name("000.mp4"), broken)
    untouched = here("boxes", work, *QUICK)
    assert "nothing left to do" in untouched.stdout and untouched.returncode == 1
    again = here("boxes", work, "--retry-failed", *QUICK)
    assert "1 ok, 1 open_failed; 6 done before" in again.stdout
    videos = read_videos(work).set_index("video_id")
    assert videos.loc["original_sequences/youtube/c23/videos/900.mp4", "status"] == "ok"
    assert len(videos) == 8


def test_partial_videos_are_retried_while_nothing_builds_on_their_boxes(tmp_path: Path, head: list) -> None:
    root, work, cropped = tmp_path / "root", tmp_path / "work", tmp_path / "cropped"
    whole = encode(tmp_path / "whole.avi", head[:20], options={"bf": "0"})
    encode(root / "real" / "a.mp4", head[:4])
    video = Path(shutil.copy(whole, root / "real" / "b.avi"))
    cut_within(video, 19)  # a twentieth is missing
    assert here("boxes", root, "-o", work, *QUICK).returncode == 1
    shutil.copytree(work, cropped)
    assert here("extract", cropped).returncode == 0
    shutil.copy(whole, video)
    again = here("boxes", work, "--retry-failed", *QUICK)
    assert again.returncode == 0 and "1 ok; 1 done before" in again.stdout
    again = here("boxes", cropped, "--retry-failed", *QUICK)
    assert again.returncode == 1 and "nothing left to do" in again.stdout
    found = [read_videos(w).set_index("video_id").loc["real/b.avi"] for w in (work, cropped)]
    assert [(v["status"], v["frames_decoded"]) for v in found] == [("ok", 20), ("partial", 19)]


# Put on PYTHONPATH, this makes the detection of one video wait for a file.
WAITING = """
import os, time
from pathlib import Path
import ffpp_prep.one_video.boxes
detect = ffpp_prep.one_video.boxes.detect_video
def waiting(video_id, path, detector, settings, beat, **more):
    while "2.mp4" in video_id and not Path(os.environ["WAIT_FOR"]).exists():
        time.sleep(0.05)
        beat()
    return detect(video_id, path, detector, settings, beat, **more)
ffpp_prep.one_video.boxes.detect_video = waiting
"""


def begun(tmp_path: Path, head: list, videos: int) -> subprocess.Popen[str]:
    """Starts `boxes` on tmp_path/work, whose third video waits for tmp_path/go on."""
    for i in range(videos):
        encode(tmp_path / "root" / "real" / f"{i}.mp4", head[:4])
    assert here("scan", tmp_path / "root", "-o", tmp_path / "work").returncode == 0
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WAITING)
    paths = os.pathsep.join([str(tmp_path / "hook"), os.environ.get("PYTHONPATH", "")])
    more = {"PYTHONPATH": paths, "WAIT_FOR": str(tmp_path / "go on"), "TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        [sys.executable, "-m", "ffpp_prep", "boxes", str(tmp_path / "work"), *QUICK, "--jobs", "1"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )


@pytest.mark.full
def test_two_runs_at_once(tmp_path: Path, head: list) -> None:
    """The second refuses, whatever it would do to the folder; the first is not disturbed."""
    work, first = tmp_path / "work", begun(tmp_path, head, videos=3)
    wait_for(lambda: (work / "progress.json").exists(), seconds=60)
    others = (
        ("boxes", work),
        ("boxes", tmp_path / "root", "-o", work),
        ("scan", tmp_path / "root", "-o", work),
        ("verify", work, "--repair"),
    )
    for arguments in others:
        second = here(*arguments)
        assert second.returncode == 2 and "another ffpp-prep run is at work" in second.stderr, arguments
    assert first.poll() is None  # else they would not have been at once
    (tmp_path / "go on").touch()
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0 and "3 ok" in out


def test_extract_while_another_run_is_at_work(detected: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(detected, work)
    with only_run(work):
        for command in ("extract", "check-fakes"):
            result = here(command, work)
            assert result.returncode == 2 and "another ffpp-prep run is at work" in result.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_interrupt_commits_and_says_how_to_go_on(tmp_path: Path, head: list, stop: signal.Signals) -> None:
    work, process = tmp_path / "work", begun(tmp_path, head, videos=6)
    # The third video's marker: two are done, and nothing is committed yet.
    wait_for(lambda: list(tmp_path.glob("ffpp-prep-*/2")), seconds=60)
    os.killpg(process.pid, stop)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again to go on" in errors
    assert "Traceback" not in errors
    done = read_videos(work)["status"].notna().sum()
    assert 1 <= done < 6
    assert here("boxes", work, *QUICK).returncode == 0
    assert (read_videos(work)["status"] == "ok").all()


CRASHING = """
import ffpp_prep.work.shards, os, signal, time
encode = ffpp_prep.work.shards._encode
def crashing(slices, *rest):
    if any("FaceSwap" in part.video_id for part in slices):
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(600)
    return encode(slices, *rest)
ffpp_prep.work.shards._encode = crashing
"""


@pytest.mark.full
def test_a_shard_whose_worker_crashes_is_named_and_can_be_made_later(detected: Path, tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(CRASHING)
    works = [Path(shutil.copytree(detected, tmp_path / name)) for name in ("whole", "work")]
    options = ("--jobs", 2, "--codec", "raw")  # large enough for several shards
    assert here("extract", works[0], *options).returncode == 0
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hook")}
    result = ffpp_prep("extract", works[1], *options, env=environment)
    assert result.returncode == 1 and "not written: the worker process died" in result.stdout, result.stderr
    b, some = stored(works[0]), stored(works[1])
    assert 0 < len(some) < len(b)
    assert here("extract", works[1], *options).returncode == 0
    a = stored(works[1])
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_a_shard_that_fails_unexpectedly_is_named_and_the_others_are_written(
    detected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = extract.write_shard

    def failing(folder: Path, number: int, slices: list, *rest: Any) -> Any:
        if any("FaceSwap" in part.video_id for part in slices):
            raise LookupError("nothing\nexpected")
        half.write_bytes(b"half")  # as a worker that is killed leaves it
        return write(folder, number, slices, *rest)

    work = Path(shutil.copytree(detected, tmp_path / "work"))
    half = work / "faces/.tmp-0123abcd-faces-00000.h5"
    options = ("--codec", "raw")  # large enough for several shards
    with monkeypatch.context() as patched:
        patched.setattr(extract, "write_shard", failing)
        result = here("extract", work, *options)
    assert result.returncode == 1 and result.stderr == ""
    assert "not written: LookupError: nothing expected; it is to hold crops of " in result.stdout
    no_leftovers(work)
    some = stored(work)
    half.write_bytes(b"half")  # of a run that was killed: it disturbs nobody, and the next run removes it
    assert here("verify", work).returncode == 0 and here("status", work).returncode == 0
    assert here("extract", work, *options).returncode == 0
    assert 0 < len(some) < len(stored(work))
    no_leftovers(work)


def test_a_crop_that_can_no_longer_be_read_is_reported_and_retried(
    tree: Path, detected: Path, tmp_path: Path
) -> None:
    work, gone = Path(shutil.copytree(detected, tmp_path / "work")), tmp_path / "gone.mp4"
    video_id = "manipulated_sequences/FaceSwap/c23/videos/000_001.mp4"
    scan = pq.read_table(work / "videos.parquet").to_pandas().set_index("video_id")
    scan.loc[video_id, "path"] = str(gone)
    table = pq.read_table(work / "videos.parquet")
    paths = pa.array(scan["path"])
    pq.write_table(
        table.set_column(table.schema.get_field_index("path"), "path", paths), work / "videos.parquet"
    )
    result = here("extract", work)
    assert result.returncode == 1 and f"crops missing of {video_id}" in result.stdout
    manifest = json.loads((work / "faces" / "manifest.json").read_text())
    assert sum(m["count"] for s in manifest["shards"] for m in s["missing"]) > 0
    assert not any(video == video_id for video, _, _ in stored(work))
    assert "extract: 0 shards" in here("extract", work).stdout  # as long as nobody asks
    shutil.copy(tree / video_id, gone)
    before = sorted(path.name for path in (work / "faces").iterdir())
    assert here("extract", work, "--retry-failed", "--margin", "0.5").returncode == 2
    assert sorted(path.name for path in (work / "faces").iterdir()) == before  # a refusal forgets nothing
    again = here("extract", work, "--retry-failed")
    assert again.returncode == 0 and "missing" not in again.stdout, again.stdout
    a, b = stored(work), expected(work)
    assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
