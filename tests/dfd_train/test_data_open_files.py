"""Shards are read by place through descriptors that stay open, as many as the system allows."""

import os
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from statistics import median

import pytest

from ffpp_prep.format import open_files
from ffpp_prep.format.open_files import MOST_OPEN, OpenFiles


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for number in range(20):
        (tmp_path / str(number)).write_bytes(bytes([number]) * 100)
    return [tmp_path / str(number) for number in range(20)]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were opened, in order."""
    calls: list[Path] = []
    original = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: (calls.append(path), original(path, flags))[1])
    return calls


def test_each_file_is_opened_once(paths: list[Path], opened: list[Path]) -> None:
    files = OpenFiles(paths)
    for _ in range(3):
        assert [files.read(n, 50, 10) for n in range(20)] == [bytes([n]) * 10 for n in range(20)]
    assert opened == paths
    assert files.read(3, 95, 10) == b"\3" * 5  # as far as it goes


def test_the_ones_used_longest_ago_are_closed_first(
    paths: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "MOST_OPEN", 3)
    files = OpenFiles(paths)
    held = len(list(Path("/proc/self/fd").iterdir()))
    for number in (0, 1, 2, 0, 3, 0, 1):  # 3 takes the place of 1, and 1 that of 2
        files.read(number, 0, 1)
    assert opened == [paths[n] for n in (0, 1, 2, 3, 1)]
    assert len(list(Path("/proc/self/fd").iterdir())) == held + 3
    del files
    assert len(list(Path("/proc/self/fd").iterdir())) == held


def test_a_copy_in_another_process_opens_its_own(paths: list[Path]) -> None:
    files = OpenFiles(paths)
    files.read(7, 0, 1)
    assert pickle.loads(pickle.dumps(files)).read(7, 0, 2) == b"\7\7"
    # Forked, as loader processes are made, and of a process without threads: one that has some may leave a lock behind.
    code = (
        "import multiprocessing, sys; from pathlib import Path; from ffpp_prep.format.open_files import OpenFiles; "
        "files = OpenFiles([Path(p) for p in sys.argv[1:]]); files.read(7, 0, 1); "
        "pool = multiprocessing.get_context('fork').Pool(2); "
        "print(b''.join(pool.starmap(files.read, [(n, n, 1) for n in range(20)])).hex(), files.read(7, 0, 1).hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == [bytes(range(20)).hex(), "07"]


@pytest.mark.parametrize(("soft", "hard", "open_at_once"), [(400, 4096, 20), (64, 64, 20), (24, 24, 12)])
def test_no_more_than_the_system_allows(paths: list[Path], soft: int, hard: int, open_at_once: int) -> None:
    code = (
        "import os, resource, sys; from pathlib import Path; from ffpp_prep.format.open_files import OpenFiles; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
        "files = OpenFiles([Path(p) for p in sys.argv[1:]]); "
        "assert [files.read(n, 0, 1)[0] for n in (*range(20), *range(20))] == [*range(20)] * 2; "
        "print(len(files._open))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == open_at_once
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 256  # ours is as it was


@pytest.mark.parametrize(("most", "waits"), [(MOST_OPEN, False), (64, True)])
def test_on_a_slow_file_system_only_the_first_read_of_a_file_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, waits: bool
) -> None:
    delay, number = 0.002, 300
    places = [tmp_path / str(n) for n in range(number)]
    for path in places:
        path.write_bytes(b"crop")
    original = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: (time.sleep(delay), original(path, flags))[1])
    monkeypatch.setattr(open_files, "MOST_OPEN", most)  # 64: what the measure must be able to see
    files, random = OpenFiles(places), Random(0)
    for n in range(number):
        files.read(n, 0, 4)
    seconds = []
    for _ in range(300):
        started = time.perf_counter()
        assert files.read(random.randrange(number), 0, 4) == b"crop"
        seconds.append(time.perf_counter() - started)
    assert (median(seconds) >= delay) == waits
