"""The same tasks on a Dask cluster: a scheduler and two workers started from the command line, killed, hung, lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import clips
import pyarrow.parquet as pq
import pytest
from cluster_tasks import work

from ffpp_prep import check_fakes, find_landmarks, read_boxes, read_fakes, read_landmarks, read_videos
from ffpp_prep.errors import FatalError, UserError
from ffpp_prep.format.files import sha256_of
from ffpp_prep.jobs import run_tasks
from ffpp_prep.jobs.cluster import _Cluster
from ffpp_prep.jobs.meeting import ClusterWorkers


@dataclass
class Cluster:
    """A scheduler and workers on the loopback interface, as a user starts them."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, workers: int, *options: str) -> None:
        scheduler = self.spawn("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = wait_for(lambda: self.says("scheduler", r"Scheduler at:\s+(tcp://\S+)"))
        assert scheduler.poll() is None
        for _ in range(workers):
            self.spawn("worker", self.address, "--nthreads", "1", "--no-dashboard", *options)

    def spawn(self, what: str, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        number = len(self.processes)
        log = (self.folder / f"{what}-{number}.log").open("w")
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]  # for cluster_tasks
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment["DASK_TEMPORARY_DIRECTORY"] = str(self.folder)
        environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = (
            "1"  # of 3: each costs a worker's start
        )
        command = [*before, sys.executable, "-m", "dask", what, *arguments]
        if what == "worker":
            command += ["--local-directory", str(self.folder)]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=self.folder, env=environment, text=True
        )
        self.processes.append(process)
        return process

    def says(self, what: str, pattern: str) -> str:
        for log in self.folder.glob(f"{what}-*.log"):
            if found := re.search(pattern, log.read_text()):
                return found[1]
        return ""

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start(2)
    yield cluster
    cluster.stop()


def tries(log: Path, name: str) -> list[int]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [int(line.split()[1]) for line in lines if line.split()[0] == name]


def run(cluster: Cluster, log: Path, names: list[str], timeout_s: float = 60.0) -> dict[str, str]:
    tasks = [(name, str(log)) for name in names]
    looks: list[float] = []
    outcomes = list(
        run_tasks(
            work,
            tasks,
            timeout_s=timeout_s,
            scheduler=cluster.address,
            look=lambda: looks.append(time.monotonic()),
        )
    )
    assert looks  # who waits is told of the time that passes
    assert sorted(o.task[0] for o in outcomes) == sorted(names)  # one outcome each
    return {o.task[0]: o.result if o.lost is None else o.lost.status for o in outcomes}


def test_a_crash_costs_one_task(cluster: Cluster, tmp_path: Path) -> None:
    names = ["a", "b", "segfault", "c", "d", "e"]
    results = run(cluster, tmp_path / "log", names)
    assert results.pop("segfault") == "crashed"
    assert results == {n: n.upper() for n in names if n != "segfault"}


def test_a_result_that_went_with_its_worker_is_made_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask then says that it forgot the task, as `cancel` with this reason makes it; the scheduler is still there."""
    fill, forgotten = _Cluster._fill, []

    def filling(self: _Cluster, running: dict, *others: object) -> None:
        fill(self, running, *others)
        for future in [*running][: 2 - len(forgotten)]:
            forgotten.append(running[future])
            future.cancel(reason="already forgotten")

    monkeypatch.setattr(_Cluster, "_fill", filling)
    names = ["a", "b", "c", "d", "e"]
    assert run(cluster, tmp_path / "log", names) == {n: n.upper() for n in names}
    assert len(forgotten) == 2


def test_a_hang_costs_one_task_and_slow_work_is_no_hang(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(cluster, log, ["slow", "hang", "a"], timeout_s=3.0) == {
        "slow": "SLOW",
        "hang": "timeout",
        "a": "A",
    }
    assert len(tries(log, "hang")) == 2 and len(tries(log, "slow")) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in tries(log, "hang"))


def test_an_exception_reaches_the_caller(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="this task is wrong"):
        run(cluster, tmp_path / "log", ["a", "wrong", "b"])


def test_work_that_nobody_waits_for_ends(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    outcomes = run_tasks(work, [("a", str(log)), ("endless", str(log))], scheduler=cluster.address)
    assert next(outcomes).result == "A"
    wait_for(lambda: tries(log, "endless"))
    outcomes.close()  # as when the run is interrupted
    assert run(cluster, tmp_path / "other", ["a", "b"]) == {"a": "A", "b": "B"}  # the workers are free again


def test_workers_detect_with_torch(cluster: Cluster, head: list, tmp_path: Path) -> None:
    clips.encode(tmp_path / "root" / "real" / "a.mp4", head[:2])
    work, options = tmp_path / "work", ("--engine", "torch", "--detector", "blazeface")
    done = clips.here("boxes", tmp_path / "root", "-o", work, *options, "--scheduler", cluster.address)
    assert done.returncode == 0, done.stderr
    (part,) = (work / "boxes").glob("boxes-*")
    assert pq.read_schema(part).metadata[b"detector"] == b"torch" and pq.read_table(part).num_rows == 2


def test_a_scheduler_is_not_asked_for_its_workers_at_each_of_many_short_tasks() -> None:
    class Asked:
        times, workers = 0, dict[str, int]()

        def nthreads(self) -> dict[str, int]:
            self.times += 1
            return self.workers

    asked, workers = Asked(), ClusterWorkers("tcp://there")
    assert [workers.look(asked) for _ in range(3)] == [0] * 3 and asked.times == 3
    asked.workers = {"a": 1, "b": 1}
    assert [workers.look(asked) for _ in range(3)] == [2] * 3 and asked.times == 4


def test_no_scheduler_and_wrong_addresses_are_usage_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffpp_prep.jobs.cluster.CONNECT_S", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(UserError, match="no Dask scheduler answers"):
            list(run_tasks(work, [("a", "x")], scheduler=address))


def test_another_version_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffpp_prep.jobs.cluster.__version__", "0.0.9")
    with pytest.raises(UserError, match=r"workers have ffpp-prep [\d.]+, this is 0.0.9"):
        list(run_tasks(work, [("a", "x")], scheduler=cluster.address))


def test_same_result_as_local_with_a_worker_killed(
    cluster: Cluster, tree: Path, extracted: Path, tmp_path: Path
) -> None:
    here = tmp_path / "work"
    process = subprocess.Popen(
        [sys.executable, "-m", "ffpp_prep", "boxes", tree, "-o", here, "--scheduler", cluster.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (here / "progress.json").exists())
    time.sleep(1.5)
    os.kill(worker_processes(cluster)[0], signal.SIGKILL)
    assert process.poll() is None  # in the middle of the run
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors  # two videos of the tree can't be opened
    result = clips.here("extract", here, "--scheduler", cluster.address)
    assert result.returncode == 0, result.stderr
    columns = ["video_id", "status", "frames_decoded", "frames_with_face", "multiple_faces"]
    assert read_videos(here)[columns].equals(read_videos(extracted)[columns])
    assert read_boxes(here).equals(read_boxes(extracted))
    assert metadata_of(here)[b"fingerprint"] == metadata_of(extracted)[b"fingerprint"]
    assert metadata_of(here)[b"detector"] == metadata_of(extracted)[b"detector"] == b"litert"  # not "auto"
    result = clips.here("check-fakes", here, "--scheduler", cluster.address)
    assert result.returncode == 0, result.stderr
    local = Path(shutil.copytree(extracted, tmp_path / "local"))
    with clips.one_process():
        assert check_fakes(local).statuses == {"ok": 4} and find_landmarks(local).statuses == {"ok": 6}
    assert read_fakes(here).equals(read_fakes(local))
    assert find_landmarks(here, scheduler=cluster.address).statuses == {"ok": 6}
    assert len(read_landmarks(here)) and read_landmarks(here).equals(read_landmarks(local))
    shards = sorted(p.name for p in (extracted / "faces").glob("*.h5"))
    assert shards == sorted(p.name for p in (here / "faces").glob("*.h5")) and shards
    for name in shards:
        assert sha256_of(here / "faces" / name) == sha256_of(extracted / "faces" / name)


def test_a_cluster_without_workers_is_said_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffpp_prep.jobs.meeting.WORKERS_S", 7.0)
    empty = Cluster(tmp_path)
    try:
        empty.start(0)
        with pytest.raises(
            FatalError, match=r"has had no workers for 7 s; .*dask worker tcp://\S+ --nthreads 1"
        ):
            list(run_tasks(work, [("a", str(tmp_path / "log"))], scheduler=empty.address))
    finally:
        empty.stop()


@pytest.fixture
def elsewhere(tmp_path: Path, detected: Path) -> Iterator[tuple[Path, Cluster]]:
    """WORK, and a cluster whose one worker has another file system at its path."""
    folder = Path(shutil.copytree(detected, tmp_path / "work"))
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {folder} && exec "$@"', "sh")
    if subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("hiding a folder from a process needs root")
    (tmp_path / "cluster").mkdir()
    other = Cluster(tmp_path / "cluster")
    other.start(0)
    other.spawn("worker", other.address, "--nthreads", "1", "--no-dashboard", before=hidden)
    wait_for(lambda: other.says("worker", "(Registered to)"))
    yield folder, other
    other.stop()


@pytest.mark.full
def test_workers_that_see_another_work_folder_are_refused_before_work_begins(
    elsewhere: tuple[Path, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = elsewhere
    for stage in ("extract", "boxes"):
        again = ["--retry-failed"] if stage == "boxes" else []
        result = clips.here(stage, folder, *again, "--scheduler", other.address)
        assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
        assert f"sees another {folder} than this machine" in result.stderr
        assert not list(folder.glob(".tmp-*")) and not list((folder / "faces").glob("*.h5"))


@pytest.mark.full
def test_threads_are_refused(tmp_path: Path) -> None:
    threads = Cluster(tmp_path)
    try:
        threads.start(0)
        threads.spawn("worker", threads.address, "--nthreads", "2", "--no-dashboard")
        with pytest.raises(UserError, match="--nthreads 1"):
            run(threads, tmp_path / "log", ["a"])
    finally:
        threads.stop()


@pytest.mark.full
def test_a_lost_scheduler_ends_the_run(tmp_path: Path, tree: Path) -> None:
    lost = Cluster(tmp_path)
    try:
        lost.start(1)
        log = tmp_path / "log"
        outcomes = run_tasks(work, [("a", str(log)), ("hang", str(log))], scheduler=lost.address)
        assert next(outcomes).result == "A"
        wait_for(lambda: tries(log, "hang"))
        lost.processes[0].kill()
        with pytest.raises(FatalError, match=r"scheduler .* was lost"):
            next(outcomes)
    finally:
        lost.stop()


def worker_processes(cluster: Cluster) -> list[int]:
    """The processes that run tasks: the children of the `dask worker` nannies."""
    nannies = {str(p.pid) for p in cluster.processes[1:]}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rsplit(")", 1)[1].split()[1]
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent in nannies and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def metadata_of(work_folder: Path) -> dict[bytes, bytes]:
    return dict(pq.read_schema(work_folder / "boxes" / "videos-00000.parquet").metadata)


def wait_for(condition, seconds: float = 30.0):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value
