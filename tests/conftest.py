"""What holds for all tests."""

import os
import random
import signal
import sys
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

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


# What `make test-fast` leaves out: files whose tests start processes, decode videos, train or build large networks for
# longer than a few seconds. Of the others, 846 that were measured took 217 s of processor time together.
SLOW = {
    "ffpp_prep": (
        "boxes boxes_from_original check_fakes dask decord detector_frozen_graph encoder estimate "
        "extract extract_choosing faults hostile jobs landmarks likeness lock long_and_odd preview "
        "python sample store times verify video workers"
    ),
    "dfd_train": (
        "batch_norm explain explain_command export export_card faults gpu loader pages_hostile predict "
        "predict_batch predict_calibration predict_detector predict_hostile predict_models predict_parts "
        "predict_pictures processes published_parity resume resume_full_disk resume_kills robustness "
        "runs serve serve_hostile serve_slow train train_kinds train_presets train_processes"
    ),
    "reseption_models": "cli ensemble export networks optimization package quantization thesis_weights timm weights",
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
