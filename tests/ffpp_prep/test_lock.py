"""One run at a time, on file systems with locks and without: real processes, killed ones and other hosts' included."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from test_jobs import wait_for

from ffpp_prep.errors import UserError
from ffpp_prep.format.files import whole_folder, write_json
from ffpp_prep.work.lock import OWNER, is_at_work, only_run

NO_LOCKS = """
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { errno = atoi(getenv("FLOCK_ERRNO")); return -1; }
"""
HOLD = """
import sys, time
from pathlib import Path
from ffpp_prep.work.lock import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes `flock` fail, as file systems without locks do."""
    folder = tmp_path_factory.mktemp("preload")
    (folder / "nolock.c").write_text(NO_LOCKS)
    command = ["cc", "-shared", "-fPIC", "-o", folder / "nolock.so", folder / "nolock.c"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs a C compiler")
    return folder / "nolock.so"


def without_locks(preload: Path, number: int = errno.ENOLCK) -> dict[str, str]:
    return {**os.environ, "LD_PRELOAD": str(preload), "FLOCK_ERRNO": str(number)}


def holder(work: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(work)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


NUMBERS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO)
# `clips.here` in a process that has loaded the library, which asks the environment at each call.
SCAN = """
import json, os, sys
from clips import here
results = {}
for number in sys.argv[2:]:
    os.environ["FLOCK_ERRNO"] = number
    done = here("scan", f"{sys.argv[1]}/root", "-o", f"{sys.argv[1]}/{number}")
    results[number] = [done.returncode, done.stderr]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def scanned(preload: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list]]:
    """A folder with a WORK for each of NUMBERS, and what `scan` says of it."""
    folder = tmp_path_factory.mktemp("scanned")
    (folder / "root" / "real").mkdir(parents=True)
    (folder / "root" / "real" / "a.mp4").touch()
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", SCAN, str(folder), *map(str, NUMBERS)]
    environment = {**without_locks(preload), "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("number", NUMBERS[:3])
def test_a_file_system_without_locks(scanned: tuple[Path, dict[str, list]], number: int) -> None:
    status, errors = scanned[1][str(number)]
    assert status == 0 and "this file system has no locks" in errors
    assert not (scanned[0] / str(number) / OWNER).exists()


def test_a_second_run_is_refused_and_a_killed_ones_lock_is_free(preload: Path, tmp_path: Path) -> None:
    environment = without_locks(preload)
    first = holder(tmp_path, environment)
    for other in (environment, dict(os.environ)):  # one that has locks sees it too
        second = subprocess.run(
            [sys.executable, "-c", HOLD, str(tmp_path)], env=other, capture_output=True, text=True
        )
        whose = f"process {first.pid} on {socket.gethostname()}"
        assert f"another ffpp-prep run is at work here, {whose}; wait" in second.stderr
    assert is_at_work(tmp_path)
    first.kill()
    first.wait()
    assert (tmp_path / OWNER).exists() and not is_at_work(tmp_path)
    for other in (environment, dict(os.environ)):
        again = holder(tmp_path, other)
        again.send_signal(signal.SIGINT)
        again.wait()
        assert not (tmp_path / OWNER).exists()


def test_a_lock_of_another_host_is_never_taken_over(preload: Path, tmp_path: Path) -> None:
    (tmp_path / OWNER).write_text("4711\nanother-host\n")
    said = rf"process 4711 on another-host; .* remove {tmp_path / OWNER}"
    with pytest.raises(UserError, match=said), only_run(tmp_path):
        pass
    assert is_at_work(tmp_path) and socket.gethostname() != "another-host"
    (tmp_path / OWNER).unlink()
    with only_run(tmp_path):
        assert is_at_work(tmp_path)
    assert not is_at_work(tmp_path)


def test_a_lock_that_fails_otherwise_is_no_run_at_work(scanned: tuple[Path, dict[str, list]]) -> None:
    pytest.importorskip("fcntl", reason="here a file is the lock, and no call fails", exc_type=ImportError)
    status, errors = scanned[1][str(errno.EIO)]
    assert status != 0 and "another ffpp-prep run" not in errors
    wait_for(lambda: not is_at_work(scanned[0] / str(errno.EIO)))


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_file_system_that_syncs_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """CIFS, 9p and some of FUSE: nothing could be written there, as each file was renamed and then called lost."""
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(tmp_path / "a.json", {"a": 1})
    with whole_folder(tmp_path / "folder") as temporary:
        (temporary / "b").write_text("b")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "b", "folder"]
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        write_json(tmp_path / "c.json", {})
