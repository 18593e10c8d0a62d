"""The addresses of `dfd-train serve` against their own OpenAPI document, as schemathesis tries them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from dfd_train.serve import jobs as jobs_module
from dfd_train.serve.app import Desk
from dfd_train.serve.guard import Access
from dfd_train.serve.jobs import Jobs

EXAMPLES = Path(__file__).parents[2] / "examples" / "serve"


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Iterator[Desk]:
    """A server whose files are scored by nobody: they fail, or go on until they are cancelled."""

    def predict(file, folder: Path, settings, stages):
        advance = stages.of("scoring")
        for step in range(5):
            advance(step, 5.0)
            time.sleep(0.001)
        raise ValueError("no such thing as a score")

    monkeypatch.setattr(jobs_module, "predict_file", predict)
    monkeypatch.setattr(jobs_module, "MOST_WAITING", 1000)
    job = SimpleNamespace(reading=None)
    jobs = Jobs({"first": job, "second": job}, None)  # type: ignore[dict-item]
    yield Desk(tmp_path, jobs, 100_000, "a model", {})
    jobs.close()


def access() -> Access:
    return Access(frozenset({"localhost", "testserver"}), False, "", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_the_unit_is_one(tmp_path) -> None:
    text = (EXAMPLES / "dfd-train.service").read_text()
    assert "/opt/dfd/.venv/bin/dfd-train serve" in text
    unit = tmp_path / "dfd-train.service"
    unit.write_text(text.replace("/opt/dfd/.venv/bin/dfd-train", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (
        done.returncode,
        done.stdout,
        [line for line in done.stderr.splitlines() if unit.name in line],
    ) == (0, "", [])


@pytest.mark.full
def test_every_answer_is_one_that_is_announced(desk, caplog) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    caplog.set_level("CRITICAL")
    schema = schemathesis.openapi.from_asgi("/openapi.json", desk.app(access()))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 6
    for operation in operations:

        @settings(
            max_examples=60,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case) -> None:
            case.call_and_validate()

        check()
