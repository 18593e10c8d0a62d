"""What benchmarks decide before they measure."""

from __future__ import annotations

import importlib
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfd_train.settings.config import build_config

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    """A benchmark's module by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # which it would set for all tests after it
    return importlib.import_module


def test_a_set_without_a_full_batch_ends_with_a_line(benchmark) -> None:
    training, config = benchmark("training"), build_config({"data": {"batch_size": 4}})
    asked = []

    class Batches(list):
        crops = 5

    def data(*sizes: int) -> SimpleNamespace:
        def plan(own, epoch: int) -> SimpleNamespace:
            asked.append((own.train.epochs, epoch))
            return SimpleNamespace(batches=Batches([None] * size for size in sizes))

        return SimpleNamespace(plan=plan)

    assert [len(batch) for batch in islice(training.full_batches(config, data(4, 1)), 3)] == [4, 4, 4]
    assert asked == [(1, 1), (2, 2), (3, 3)]
    with pytest.raises(SystemExit, match="an epoch has 5 crops, too few for a batch of 4"):
        next(training.full_batches(config, data(3, 2)))


def test_an_l40s_is_no_l4(benchmark) -> None:
    peak_of = benchmark("gpu_training").peak_of
    assert peak_of("NVIDIA L4, 1 torch threads") == 121e12 and peak_of("NVIDIA L40S, 1 torch threads") is None
    assert peak_of("NVIDIA A100-SXM4-80GB") == 312e12 and peak_of("x86_64 CPU") is None
