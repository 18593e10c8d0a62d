"""No command's cost grows faster than the set: `benchmarks/scale.py` in short."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCALE = Path(__file__).parents[1] / "benchmarks" / "scale.py"
SHORT = (200, 800, 3200)  # videos


@pytest.fixture(scope="module")
def scale():
    spec = importlib.util.spec_from_file_location("scale", SCALE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scale"]


def test_what_counts_as_linear(scale):
    sizes = (500, 2000, 8000)

    def costs(seconds):
        return {"it": [scale.Cost(seconds(videos), 0.0) for videos in sizes]}

    assert scale.not_linear(sizes, costs(lambda n: 3.0)) == []
    assert scale.not_linear(sizes, costs(lambda n: 3 + 0.01 * n)) == []
    assert scale.not_linear(sizes, costs(lambda n: 3 + 0.001 * n * len(str(n)))) == []
    assert scale.not_linear(sizes, costs(lambda n: 3 + 1e-6 * n * n)) == ["it"]
    short = {"it": [scale.Cost(3 + 1e-6 * videos**2, 0.0) for videos in SHORT]}
    assert scale.not_linear(SHORT, short) == ["it"]
    assert "| it | 8.0 | 23.0 | 83.0 | 10.00 | 10.00 | 0 | 0 |" in scale.table(
        sizes, costs(lambda n: 3 + 0.01 * n)
    )


@pytest.mark.full
def test_no_command_s_cost_grows_faster_than_the_set(scale):
    costs = scale.measure(SHORT, frames=40)
    assert scale.not_linear(SHORT, costs) == [], scale.table(SHORT, costs)
