"""The parts that meet the operating system, where what only Linux or only Unix has is gone: see sitecustomize.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PARTS = {
    "macos": ("ffpp_prep/test_lock.py", "dfd_train/test_data_open_files.py", "dfd_train/test_loader.py"),
    "windows": ("ffpp_prep/test_lock.py", "dfd_train/test_loader.py"),
}


def without(system: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs Python without the names that `system` lacks."""
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "ELSEWHERE": system}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("system", PARTS)
def test_the_names_are_gone_and_every_function_of_machine_works(system, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    code = f"""
import os, signal, subprocess, sys
from pathlib import Path
from ffpp_prep import machine
assert not hasattr(os, "sched_getaffinity") and not hasattr(signal, "sigwaitinfo")
assert hasattr(os, "pread") == ({system!r} == "macos")
folder = Path({str(tmp_path)!r})
assert machine.cores() >= 1 and machine.memory() > 1 << 28
descriptor = machine.open_to_read(folder / "file")
assert machine.read_at(descriptor, 3, 4) == b"456" and machine.read_at(descriptor, 9, 8) == b"89"
assert machine.more_open_files(100) >= 64
machine.sync_file(folder / "file")
machine.sync_folder(folder)
try:
    machine.lock(descriptor)
    assert {system!r} == "macos"
except BlockingIOError:
    raise
except OSError:
    assert {system!r} == "windows"
sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
assert machine.is_running(sleeper.pid) and machine.is_running(os.getpid())
machine.end_process(sleeper.pid)
sleeper.wait()
machine.end_process(sleeper.pid)
assert not machine.is_running(sleeper.pid) and not machine.is_running(2**40)
"""
    done = without(system, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.full
@pytest.mark.parametrize("system", PARTS)
def test_every_module_can_be_imported(system):
    """But for what an extra brings and what is for GPUs."""
    code = """
import importlib, pkgutil
import ffpp_prep, dfd_train
for package in (ffpp_prep, dfd_train):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not any(word in module.name for word in ("tensorflow", "decord", "__main__", "cluster", "meeting")):
            importlib.import_module(module.name)
"""
    done = without(system, "-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.full
@pytest.mark.parametrize("system", PARTS)
def test_the_tests_of_those_parts_pass(system):
    files = [f"tests/{name}" for name in PARTS[system]]
    done = without(system, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not full", *files)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
