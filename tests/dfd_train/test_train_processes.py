"""Two processes under torchrun are one process on the same global batch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from processes import children, words

from dfd_train.cli import main
from dfd_train.engine.device import choose_device
from dfd_train.engine.processes import Processes, join_processes, own_processes
from dfd_train.runs.folder import RunFolder

OFF = ["--max-steps", "3", "--accumulate", "2", "--clip-norm", "0.5"]


def torchrun(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "-m", "dfd_train", *arguments], stderr=subprocess.PIPE, text=True, env=environment
    )


def epochs(run: Path) -> pd.DataFrame:
    lines = RunFolder(run).read_events()
    return pd.DataFrame([line for line in lines if line["event"] == "epoch"])


@pytest.mark.parametrize("batches", ["various", "dual", "shuffled"])
@pytest.mark.parametrize("size", [6, 10])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_shares_hold_every_crop_once(batches, size, count):
    batch = list(range(size))
    shares = [Processes(rank, count).share(batch) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == batch
    if batches == "various":  # a fake and its real stay together
        assert all(share[i] + 1 == share[i + 1] for share in shares for i in range(0, len(share), 2))


def test_more_processes_than_gpus_are_refused(monkeypatch):
    """As on a machine of one GPU; on a real one by `test_gpu.py`."""
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        ValueError, match=r"torchrun started 4 processes here.* sees 1; allowed: --nproc-per-node 1"
    ):
        join_processes(own_processes(), torch.device("cuda", 0))


def test_each_process_takes_its_own_gpu(monkeypatch):
    """As on a machine of several; on a real one by `test_gpu.py`."""
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert choose_device("auto", own_processes()) == torch.device("cuda", 1)
    assert choose_device("cuda") == choose_device("auto", Processes()) == torch.device("cuda", 0)
    assert choose_device("cpu", own_processes()) == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^device=gpu: must be auto, cpu, cuda$"):
        choose_device("gpu")


@pytest.mark.parametrize("kind", ["various", pytest.param("shuffled", marks=pytest.mark.full)])
def test_two_processes_are_one(kind, run_command, tmp_path):
    arguments = [*run_command, "--model", "tiny_networks:without_batch_norm", "--batch-size", "10", *OFF]
    arguments += ["--batches", kind, "--train-frames", "3", "--epochs", "2"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    process = torchrun([*arguments, "--out", str(tmp_path / "two")])
    error = process.communicate(timeout=240)[1]
    assert process.returncode == 0, error
    one, two = (
        epochs(tmp_path / name).drop(columns=["seconds", "images_per_second"]) for name in ("one", "two")
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-5)
    assert error.count("epoch 2/2") == 1  # one process speaks
    predictions = [pd.read_parquet(tmp_path / name / "predictions-val.parquet") for name in ("one", "two")]
    pd.testing.assert_frame_equal(predictions[0], predictions[1], rtol=1e-4, atol=1e-5)
    weights = [
        torch.load(tmp_path / name / "checkpoints/last.pt", weights_only=True)["network"]
        for name in ("one", "two")
    ]
    assert all(torch.allclose(weights[0][key], weights[1][key], rtol=1e-4, atol=1e-6) for key in weights[0])


@pytest.mark.full
def test_validation_shows_the_network_that_is_saved(run_command, tmp_path):
    """Batch norm of CPU processes sees each its own crops; all of them score with what the main one has seen."""
    out = tmp_path / "run"
    process = torchrun(
        [*run_command, "--epochs", "1", "--lr", "0.03", "--ema-decay", "0.5", "--out", str(out)]
    )
    error = process.communicate(timeout=240)[1]
    assert process.returncode == 0, error
    in_training = pd.read_parquet(out / "predictions-val.parquet")
    assert main(["evaluate", str(out), "--split", "val", "--workers", "0"]) == 0
    alone = pd.read_parquet(out / "predictions-val.parquet")  # which says the deployed score besides
    pd.testing.assert_frame_equal(in_training, alone[in_training.columns], rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_two_processes_that_were_killed_go_on_bit_for_bit(run_command, tmp_path, monkeypatch):
    """Dropout and batch norm in both; the kill comes in the middle of the second epoch."""
    arguments = [*run_command, "--model", "tiny_networks:mortal", "--batch-size", "4", "--ema-decay", "0.9"]
    arguments += ["--accumulate", "2", "--epochs", "2", "--checkpoint-minutes", "0.00001"]

    def run(name: str) -> tuple[int, str]:
        process = torchrun([*arguments, "--out", str(tmp_path / name)])
        error = process.communicate(timeout=240)[1]
        return process.returncode, error

    status, error = run("straight")
    assert status == 0, error
    monkeypatch.setenv("DIE_BEFORE_PASS", "6")
    assert run("killed")[0] != 0
    monkeypatch.delenv("DIE_BEFORE_PASS")
    place = torch.load(tmp_path / "killed/checkpoints/last.pt", weights_only=True)["state"]["place"]
    assert (place["epoch"], place["batches_done"]) == (2, 2)
    status, error = run("killed")
    assert status == 0 and "goes on in epoch 2 after 2 batches" in error
    saved = [
        torch.load(tmp_path / name / "checkpoints/last.pt", weights_only=True)["network"]
        for name in ("straight", "killed")
    ]
    assert all(torch.equal(value, saved[1][key]) for key, value in saved[0].items())
    columns = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(
        *(epochs(tmp_path / name).drop(columns=columns) for name in ("straight", "killed"))
    )


def test_the_end_is_clean_when_one_process_dies(run_command, tmp_path):
    out = tmp_path / "run"
    process = torchrun([*run_command, "--epochs", "400", "--out", str(out)])
    try:
        deadline = time.monotonic() + 120
        while not (out / "checkpoints/last.pt").is_file():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        workers = [child for child in children(process) if "dfd_train" in words(child)]
        assert len(workers) == 2
        workers[1].send_signal(signal.SIGKILL)
        error = process.communicate(timeout=120)[1]
        assert process.returncode != 0
        assert "dfd-train: another process of this run ended; the same command goes on" in error
        assert "[rank" not in error  # a traceback, as torch prints it; torchrun's own has no rank
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive
        state = torch.load(out / "checkpoints/last.pt", weights_only=True)  # whole
        assert state["epoch"] >= 1
    finally:
        process.kill()
        process.communicate()
