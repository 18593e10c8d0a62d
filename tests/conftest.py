"""What holds for all tests."""

import os
import random
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

# A shell that starts the tests in the background has its children ignore Ctrl-C, and theirs too: the commands that
# tests interrupt must not inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Every test and every fixture draws from generators seeded with its own name, so that neither the order of the tests
# nor the number of workers matters. TEST_SEED=1 (2, ...) draws others: a test must pass with each.
SEED = os.environ.get("TEST_SEED", "")


def _seed(name: str) -> None:
    number = zlib.crc32(f"{name}{SEED}".encode())
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 (libraries draw from it)
    if "torch" in sys.modules:  # a process that has TensorFlow must not import it
        sys.modules["torch"].manual_seed(number)


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Seeds the test, its own fixtures included."""
    _seed(request.node.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef, request: pytest.FixtureRequest) -> Iterator[None]:
    """Seeds each fixture that several tests share: it is made before `seeded`, by whichever test comes first."""
    if fixturedef.scope != "function":
        _seed(f"{fixturedef.baseid}::{fixturedef.argname}")
    return (yield)


Once = Callable[[str, Callable[[Path], object]], Path]


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    found = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """A function that fills a folder by `make(folder)`, once for all workers; no test may change what is in it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # all workers have it in common
    (root / "shared").mkdir(exist_ok=True)
    used: dict[Path, dict[str, tuple[int, int]]] = {}

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = root / "shared" / name, root / "shared" / f"{name}.done"
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a worker that failed has left
                folder.mkdir()
                make(folder)
                done.touch()
            used[folder] = _files(folder)
        return folder

    yield once
    for folder, files in used.items():
        assert _files(folder) == files, f"a test changed {folder}, which all tests share"


@pytest.fixture(scope="session")
def sample_data(once: Once) -> Path:
    """The data set of `ffpp-prep sample`; not to be changed."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "ffpp_prep", "sample", str(folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return once("sample", make) / "data"


# What `make test-fast` leaves out beside single tests marked `slow`: files whose tests start processes, decode videos,
# train or build large networks, for a second and more each.
SLOW = {
    "ffpp_prep": (
        "boxes boxes_from_original check_fakes cli dask decord detector detector_frozen_graph encoder "
        "estimate extract extract_choosing faults hostile jobs landmarks likeness lock long_and_odd "
        "preview python sample store times values verify video workers"
    ),
    "dfd_train": (
        "adopt adopt_hostile batch_norm data_open_files explain explain_command export export_card gpu inference "
        "levels loader models onnx_hostile pages_hostile predict predict_batch predict_calibration predict_hostile "
        "predict_explain predict_many predict_models predict_parts predict_pictures published_parity recipes "
        "precision resume resume_full_disk resume_kills robustness robustness_films runs serve serve_hostile "
        "serve_kept serve_slow stuck train "
        "train_kinds train_presets train_processes work_of_run"
    ),
    "report": "beside compare",
    "reseption_models": "cli ensemble export networks optimization package thesis_weights timm weights",
    "platforms": "elsewhere",
    "cases": "cases",
    "old": "old",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of slow files."""
    files = {(folder, f"test_{name}.py") for folder, names in SLOW.items() for name in names.split()}
    for item in items:
        if (item.path.parent.name, item.path.name) in files:
            item.add_marker(pytest.mark.slow)
