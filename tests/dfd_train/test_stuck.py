"""Loader processes that are stopped or die, in real commands: signals are answered, and one line says the end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prediction import TRUST, train
from processes import alive, state, wait_for_children
from resuming import command

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system can't stop a process"),
]
ANSWERED_S = 30.0  # on a busy machine; a few seconds of it are waited for a batch that may still come
# the program with shorter times, and where asked for loader processes that stop as they start, before they can bring
# anything, or that get a signal just as a batch of theirs is fetched
PROGRAM = """
import contextlib, os, signal, sys
import dfd_train.data.waiting as waiting
from dfd_train.cli import main
waiting.BATCH_SECONDS = float(sys.argv[1])
if sys.argv[2] == "started":
    from multiprocessing.process import BaseProcess
    start = BaseProcess.start
    def stopped(self):
        start(self)
        os.kill(self.pid, signal.SIGSTOP)
    BaseProcess.start = stopped
elif sys.argv[2] != "none":
    number = int(sys.argv[2])
    import multiprocessing.resource_sharer as sharer
    whole = sharer.DupFd.detach
    def detach(self):
        import psutil
        for child in psutil.Process().children():
            with contextlib.suppress(ProcessLookupError):  # libraries start some that end at once
                os.kill(child.pid, number)
        return whole(self)
    sharer.DupFd.detach = detach
sys.exit(main(sys.argv[3:]))
"""


def started(arguments: list[str], batch_s: float = 600.0, signals: str = "none") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(batch_s), signals, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(
    process: subprocess.Popen[str], children: list[psutil.Process], within: float
) -> tuple[int, list[str]]:
    """Status and lines of a command, which leaves nobody behind."""
    try:
        said = process.communicate(timeout=within)[1]
    finally:
        process.kill()
        left = [child for child in children if alive(child)]
        for child in left:
            child.kill()
    assert "Traceback" not in said, said
    assert not left
    return process.returncode, said.splitlines()


def stopped(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its loader processes, as soon as one is stopped: no other process of it ever is."""
    return wait_for_children(process, lambda child: state(child) == psutil.STATUS_STOPPED)


@pytest.fixture(scope="module")
def run(small_set_writer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stuck")
    return train(small_set_writer(folder / "work").work, folder / "run")


def commands(run: Path, out: Path) -> dict[str, list[str]]:
    work = run.parent / "work"
    return {
        "run": [*command(work), "--workers", "1", "--epochs", "500", "--out", str(out)],
        "evaluate": ["evaluate", str(run), "--split", "test", "--workers", "1"],
        "robustness": ["robustness", str(run), "--out", str(out), "--split", "test", "--workers", "1"],
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("name", ["run", "evaluate", "robustness"])
def test_a_signal_is_answered_while_a_loader_process_is_stopped(name, number, run, tmp_path) -> None:
    process = started(commands(run, tmp_path / "out")[name], signals="started")
    children = stopped(process)
    time.sleep(1)
    process.send_signal(number)
    status, said = ended(process, children, ANSWERED_S)
    assert status == 130 and said[-1].startswith("dfd-train: "), said


@pytest.mark.parametrize("name", ["run", "evaluate"])
def test_a_signal_is_answered_while_a_batch_is_fetched_from_a_stopped_process(name, run, tmp_path) -> None:
    process = started(commands(run, tmp_path / "out")[name], signals=str(int(signal.SIGSTOP)))
    children = stopped(process)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    status, said = ended(process, children, ANSWERED_S)
    assert status == 130 and said[-1].startswith("dfd-train: "), said


@pytest.mark.parametrize("at_fetch", ["SIGSTOP", "SIGKILL"])
def test_a_process_that_ends_or_stops_while_its_batch_is_fetched_ends_the_run(
    at_fetch, run, tmp_path
) -> None:
    number = str(int(getattr(signal, at_fetch)))
    process = started(commands(run, tmp_path / "out")["evaluate"], batch_s=3.0, signals=number)
    # one that is killed at its first batch may be gone, and the command with it, before anybody looks
    children = stopped(process) if at_fetch == "SIGSTOP" else []
    status, said = ended(process, children, 60 + ANSWERED_S)
    assert status == 3 and len([line for line in said if line.startswith("dfd-train: ")]) == 1, said
    assert "no batch has come" in said[-1] or "DataLoader worker" in said[-1]


def test_explain_answers_a_signal_at_work(run, tmp_path) -> None:
    """A million samples take it many minutes; it says so as it begins with them."""
    arguments = ["explain", str(run), "--out", str(tmp_path / "out"), "--samples", "1000000"]
    process = started([*arguments, "--trust", TRUST[0]])
    assert process.stderr is not None
    said = iter(process.stderr.readline, "")
    assert any("passes through a network, about" in line for line in said), process.wait(ANSWERED_S)
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    status, lines = ended(process, [], ANSWERED_S)
    assert (status, lines[-1]) == (130, "dfd-train: interrupted")
    assert not (tmp_path / "out/explain.html").exists()
