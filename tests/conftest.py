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
