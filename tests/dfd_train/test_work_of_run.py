"""A run's prepared set is found wherever the command is given, and where run and set were moved together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dfd_train.cli import main
from dfd_train.runs.folder import RunFolder

TRAIN = ["--model", "tiny_networks:with_batch_norm", "--input-size", "32", "--batch-size", "6"]
TRAIN += ["--epochs", "2", "--workers", "0", "--device", "cpu"]


@pytest.fixture
def run(small_set_writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trained in a folder where `--data work` is meant."""
    small_set_writer(tmp_path / "project" / "work", demonstration=True)
    monkeypatch.chdir(tmp_path / "project")
    assert main(["run", "--data", "work", "--out", "runs/tiny", *TRAIN]) == 0
    return tmp_path / "project" / "runs" / "tiny"


def test_from_anywhere_and_after_a_move(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = json.loads((run / "data.json").read_text())
    assert record["work"] == str(tmp_path / "project" / "work") and record["work_beside"] == "../../work"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    evaluate = ["evaluate", "--frames", "1", "--workers", "0", "--device", "cpu"]
    assert main([*evaluate, str(run)]) == 0
    shutil.move(tmp_path / "project", tmp_path / "moved")
    moved = tmp_path / "moved" / "runs" / "tiny"
    assert RunFolder(moved).work() == tmp_path / "moved" / "work"
    assert main([*evaluate, str(moved)]) == 0
    assert not list(moved.glob("predictions-*-on-*"))  # it is the run's own set
    assert main(["report", str(moved)]) == 0
    page = (moved / "report.html").read_text()
    assert "These videos chose the checkpoint among 2 epochs" in page and "could not be opened" not in page
    assert len(list((moved / "validations").glob("epoch-*.parquet"))) == 2


def test_runs_of_before_take_the_path_as_it_was_typed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "data.json").unlink()
    assert RunFolder(run).work() == Path("work")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(run), "--workers", "0"]) == 2
