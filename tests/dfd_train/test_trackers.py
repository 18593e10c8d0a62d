"""Trackers get the numbers of the record, offline; none of them ends a training. Seeds: several runs of one recipe."""

import logging
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from dfd_train.cli import main
from dfd_train.engine.trackers import RECORD, TensorBoard
from dfd_train.runs.folder import RunFolder

NAMES = ("train_loss", "val_balanced_accuracy", "lr")


def epochs(run: Path) -> pd.DataFrame:
    return pd.DataFrame([line for line in RunFolder(run).read_events() if line["event"] == "epoch"])


def tensorboard_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars of TensorBoard's files: records of length (8 bytes), checksum (4), event, checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_has_the_numbers_of_the_record(run_command, tmp_path):
    out = tmp_path / "run"
    assert main([*run_command, "--tensorboard", "--epochs", "2", "--out", str(out)]) == 0
    assert "tensorflow" not in sys.modules
    scalars, table = tensorboard_scalars(out / "tensorboard"), epochs(out)
    for name in ("train_loss", "val_balanced_accuracy", "lr"):
        wanted = [(row.epoch, pytest.approx(getattr(row, name), rel=1e-6)) for row in table.itertuples()]
        assert sorted(scalars[name]) == wanted


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is named, and none could be reached."""
    for name in ("WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("offline")
def test_mlflow_has_them_too_and_a_run_that_goes_on_stays_one(run_command, tmp_path):
    from mlflow import MlflowClient

    out = tmp_path / "run"
    for count in ("1", "2"):
        assert main([*run_command, "--mlflow", "--epochs", count, "--out", str(out)]) == 0
    client, table = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}"), epochs(out)
    (experiment,) = client.search_experiments(filter_string="name = 'dfd-train'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.params["optimizer.name"] == "radam" and len(table) == 2
    for name in NAMES:
        found = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]
        assert found == [(row.epoch, pytest.approx(getattr(row, name))) for row in table.itertuples()]


def wandb_records(content: bytes, block: int = 1 << 15, header: int = 7) -> Iterator[bytes]:
    """The records of W&B's file, a log as LevelDB's: blocks of parts with checksum (4), length (2) and kind (1)."""
    at, record = header, b""
    while at < len(content):
        if block - at % block < header:
            at += block - at % block
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + header])
        record += content[at + header : at + header + length]
        at += header + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


@pytest.mark.usefixtures("offline")
def test_weights_and_biases_has_them_offline(run_command, tmp_path):
    from wandb.proto.wandb_internal_pb2 import Record

    out = tmp_path / "run"
    assert main([*run_command, "--wandb", "--epochs", "2", "--out", str(out)]) == 0
    (file,) = out.glob("wandb/offline-run-*/*.wandb")
    assert file.stem == f"run-{RunFolder(out).read_json(RECORD)['wandb']}"
    rows, deadline = [], time.monotonic() + 60
    while len(rows) < 2 and time.monotonic() < deadline:  # W&B's own process writes on for moments
        records = [Record.FromString(content) for content in wandb_records(file.read_bytes())]
        rows = [
            {item.key or item.nested_key[0]: float(item.value_json) for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
    table = epochs(out)
    assert [row["_step"] for row in rows] == [1, 2]
    for name in NAMES:
        assert [row[name] for row in rows] == [pytest.approx(value) for value in table[name]]


def test_a_tracker_that_fails_ends_no_training(run_command, tmp_path, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(TensorBoard, "epoch", refuse)
    caplog.set_level(logging.INFO)
    assert main([*run_command, "--tensorboard", "--epochs", "2", "--out", str(tmp_path / "run")]) == 0
    said = [line for line in caplog.messages if "goes on without it" in line]
    assert said == ["train.tensorboard: no route to host; training goes on without it"]
    assert len(epochs(tmp_path / "run")) == 2


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_told_before_anything(
    name, run_command, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("dfd_train.engine.trackers.find_spec", lambda _: None)
    assert main([*run_command, f"--{name}", "--out", str(tmp_path / "run")]) == 2
    assert f"train.{name} needs its package: pip install 'dfd-train[{name}]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_seeds_are_runs_of_one_recipe(run_command, tmp_path, capsys):
    out = tmp_path / "runs"
    command = [*run_command, "--epochs", "1", "--out", str(out), "--seed", "4", "--seeds", "2"]
    assert main(command) == 0
    assert f"dfd-train compare {out}\n" in capsys.readouterr().out
    runs = sorted(out.iterdir())
    assert [run.name for run in runs] == ["seed-4", "seed-5"]
    assert [RunFolder(run).read_config().train.seed for run in runs] == [4, 5]
    losses = [epochs(run)["train_loss"].item() for run in runs]
    assert losses[0] != losses[1]
    assert main(["run", "--out", str(out)]) == 2
    assert "holds the runs seed-4, seed-5: with --seeds 2 or more they go on" in capsys.readouterr().err
    # what is done stays, the third is trained, all by the settings of the first
    assert main(["run", "--out", str(out), "--seeds", "3"]) == 0
    assert [epochs(run)["train_loss"].item() for run in runs] == losses and (out / "seed-6").is_dir()
    capsys.readouterr()
    assert main(["report", str(out)]) == 2
    assert "it has no config.toml; it holds the runs seed-4, seed-5, seed-6" in capsys.readouterr().err
    assert main(["run", "--out", str(out / "seed-4"), "--seeds", "2"]) == 2
    assert "seed-4 is a run: --seeds needs a folder of its own in --out" in capsys.readouterr().err
    assert main(["evaluate", str(out), "--device", "cpu", "--workers", "0", "--frames", "1"]) == 0
    assert capsys.readouterr().out.count("predictions-test.parquet") == 3
    shutil.copytree(out, tmp_path / "others")
    assert main(["compare", str(out), str(tmp_path / "others"), "--out", str(tmp_path / "comparison")]) == 0
    said = capsys.readouterr().out
    assert "Seeds of one recipe" in said and "runs/seed-4" in said and "others/seed-6" in said


def test_seeds_are_not_for_torchrun(run_command, tmp_path, monkeypatch, capsys):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert main([*run_command, "--out", str(tmp_path / "runs"), "--seeds", "2"]) == 2
    assert "with torchrun: --seed S" in capsys.readouterr().err
