"""Workers that crash, hang, raise, and a parent that is killed: with real processes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ffpp_prep.errors import FatalError
from ffpp_prep.jobs import Beat, run_tasks


def work(task: tuple[str, Path], beat: Beat) -> str:
    """What the task's name says; leaves a line for each try."""
    name, log = task
    with log.open("a") as file:
        file.write(f"{name}\n")
    if name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)  # another thread may be the one that dies of it, a moment later
    if name == "hang":
        time.sleep(60)
    if name == "slow":
        for _ in range(8):
            time.sleep(0.25)
            beat()
    if name == "hang, then crash":
        if log.read_text().count(name) == 1:
            time.sleep(60)
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)
    if name == "once" and log.read_text().count("once") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10)
    return name.upper()


def run(
    tmp_path: Path,
    names: list[str],
    threads: int,
    timeout_s: float = 30.0,
    look: Callable[[], None] | None = None,
) -> dict[str, str]:
    tasks = [(n, tmp_path / "log") for n in names]
    outcomes = list(run_tasks(work, tasks, jobs=2, timeout_s=timeout_s, threads=threads, look=look))
    assert sorted(o.task[0] for o in outcomes) == sorted(names)  # one outcome each
    return {o.task[0]: o.result if o.lost is None else o.lost.status for o in outcomes}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_crash_costs_one_task(tmp_path: Path, threads: int) -> None:
    names = ["a", "b", "segfault", "c", "d", "e"]
    results = run(tmp_path, names, threads)
    assert results.pop("segfault") == "crashed"
    assert results == {n: n.upper() for n in names if n != "segfault"}
    assert (tmp_path / "log").read_text().count("segfault") >= 2  # tried again, alone


@pytest.mark.parametrize("threads", [1, 3])
def test_a_crash_that_does_not_come_again_costs_nothing(tmp_path: Path, threads: int) -> None:
    assert run(tmp_path, ["a", "once", "b"], threads) == {"a": "A", "once": "ONCE", "b": "B"}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_hang_costs_one_task_and_slow_work_is_no_hang(tmp_path: Path, threads: int) -> None:
    looks: list[float] = []
    results = run(
        tmp_path, ["slow", "hang", "a"], threads, timeout_s=1.0, look=lambda: looks.append(time.monotonic())
    )
    assert results == {"slow": "SLOW", "hang": "timeout", "a": "A"}
    assert len(looks) > 2  # who waits is told of the time that passes


@pytest.mark.parametrize(("threads", "jump"), [(1, 1000.0), (3, -1000.0)])
def test_a_clock_that_jumps_is_no_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, jump: float
) -> None:
    clock, calls = time.time, iter(range(1_000_000))
    monkeypatch.setattr(time, "time", lambda: clock() + jump * next(calls))
    assert run(tmp_path, ["slow", "a"], threads, timeout_s=10) == {"slow": "SLOW", "a": "A"}
    assert run(tmp_path, ["hang", "b"], threads, timeout_s=1) == {"hang": "timeout", "b": "B"}


@pytest.mark.parametrize("threads", [1, 3])
def test_the_last_try_says_what_is_wrong(tmp_path: Path, threads: int) -> None:
    assert run(tmp_path, ["hang, then crash", "a"], threads, timeout_s=1.0) == {
        "hang, then crash": "crashed",
        "a": "A",
    }


def fail(task: int, beat: Beat) -> int:
    if task == 2:
        raise RuntimeError("task 2 is wrong")
    return task


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_reaches_the_caller(threads: int) -> None:
    with pytest.raises(RuntimeError, match="task 2 is wrong"):
        list(run_tasks(fail, [0, 1, 2, 3], jobs=1, threads=threads))


def where(task: float, beat: Beat) -> tuple[int, int, str]:
    time.sleep(task)
    return os.getpid(), threading.get_ident(), os.environ["CUDA_VISIBLE_DEVICES"]


def test_threads_of_a_process_share_its_device() -> None:
    tasks = [0.2] * 24
    results = [o.result for o in run_tasks(where, tasks, jobs=2, threads=3, devices=("5", "GPU-7"))]
    assert len(results) == 24 and {device for _, _, device in results} == {"5", "GPU-7"}
    assert len({(pid, device) for pid, _, device in results}) == 2  # each process has its own
    assert len({(pid, thread) for pid, thread, _ in results}) == 6


class Poisoned:
    """A task that kills whoever unpickles it: the worker dies before any task begins."""

    def __reduce__(self) -> tuple:
        return os._exit, (3,)


@pytest.mark.parametrize("threads", [1, 2])
def test_workers_that_never_begin_end_the_run(threads: int) -> None:
    with pytest.raises(FatalError, match="died 3 times before they began any task"):
        list(run_tasks(fail, [Poisoned()], jobs=1, threads=threads))


ORPHANS = """
import os, time
from pathlib import Path
from ffpp_prep.errors import FatalError
from ffpp_prep.jobs import run_tasks
import orphan_work
list(run_tasks(orphan_work.work, [0, 1], jobs=2, threads=THREADS))
"""
ORPHAN_WORK = """
import os, time
from pathlib import Path
def work(task, beat):
    Path(f"pid-{task}").write_text(str(os.getpid()))
    for _ in range(300):
        time.sleep(0.1)
        beat()
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, threads: int) -> None:
    (tmp_path / "orphan_work.py").write_text(ORPHAN_WORK)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = ORPHANS.replace("THREADS", str(threads))
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    wait_for(lambda: all((tmp_path / f"pid-{i}").exists() for i in range(2)))
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    for i in range(2):
        pid = int((tmp_path / f"pid-{i}").read_text())
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in state(pid))


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_no_length_of_time_is_measured_by_a_clock_that_may_jump() -> None:
    """`time.time` and `datetime.now` say when something was; who asks for more is listed here, with the reason."""
    told = {
        "ffpp_prep/format/files.py": 1,  # how long ago a file was written to, which its own date says
        "ffpp_prep/work/progress.py": 1,  # when the latest run of a stage was, for people
        "dfd_train/engine/record.py": 2,  # when a run began and ended, for people
        "dfd_train/predict/evidence.py": 1,  # when a report was made, for people
    }
    found = {}
    for path in sorted(Path(__file__).parents[2].glob("packages/*/src/**/*.py")):
        count = len(
            re.findall(
                r"time\.time\(\)|from time import time\b|datetime\.(utc)?now\(|date\.today", path.read_text()
            )
        )
        if count:
            found["/".join(path.parts[path.parts.index("src") + 1 :])] = count
    assert found == told
