"""What the tests of going on share: a run's command, its pieces, and when two runs are one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from forked import Forked

from dfd_train.cli import main
from dfd_train.engine import train
from dfd_train.runs.folder import RunFolder

# every part that has a state; with no patience the plateau reduces within three epochs
FULL = (
    *(
        "--ema-decay",
        "0.9",
        "--noise-eta",
        "0.01",
        "--clip-norm",
        "1.0",
        "--accumulate",
        "2",
        "--gradient-flow",
    ),
    *("--plateau-patience", "0", "--seed", "3"),
)
MORTAL = (*FULL, "--model", "tiny_networks:mortal", "--checkpoint-minutes", "0.00001")


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / f"checkpoints/{name}.pt", weights_only=True)["network"]


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("last", "best"):
        first, second = weights(a, name), weights(b, name)
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(value, second[key]), f"{name}: {key}"
    pd.testing.assert_frame_equal(epochs(a), epochs(b))
    for run in (a, b):
        table = pd.read_csv(run / "epochs.csv").drop(columns=["seconds", "images_per_second"])
        pd.testing.assert_frame_equal(table, epochs(run).drop(columns="event"))
    assert flows(a) == flows(b)
    predictions = [pd.read_parquet(run / "predictions-val.parquet") for run in (a, b)]
    pd.testing.assert_frame_equal(*predictions, check_exact=True)


def events(run: Path) -> list[dict[str, object]]:
    return RunFolder(run).read_events()


def epochs(run: Path) -> pd.DataFrame:
    rows = pd.DataFrame([event for event in events(run) if event["event"] == "epoch"])
    return rows.drop(columns=["seconds", "images_per_second"])


def flows(run: Path) -> list[dict[str, object]]:
    return [event for event in events(run) if event["event"] == "gradient_flow"]


def straight_run(out: Path, work: Path) -> Path:
    """A run from beginning to end."""
    assert main([*command(work), "--out", str(out), *FULL]) == 0
    assert epochs(out)["epoch"].tolist() == [1, 2, 3] and len(flows(out)) == 3
    assert epochs(out)["lr"].tolist()[-1] < 0.9e-3  # the plateau has reduced: its state matters
    return out


def command(work: Path) -> list[str]:
    return [
        *("run", "--data", str(work), "--model", "tiny_networks:with_batch_norm", "--input-size", "32"),
        *("--batch-size", "4", "--workers", "0", "--epochs", "3", "--device", "cpu", "--threads", "1"),
    ]


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dfd_train", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_until(condition, process: subprocess.Popen[bytes] | Forked) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"ended early: {process.stderr.read().decode()}"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def place(run: Path) -> dict[str, object]:
    return torch.load(run / "checkpoints/last.pt", weights_only=True)["state"]["place"]


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_before_predictions() -> None:
    train.write_predictions = die


def dying_before_epochs() -> None:
    RunFolder.write_epochs = die


def dying_within_last() -> None:
    """As a run writes the end of its first epoch."""
    saves, save = [], torch.save

    def save_half(content, file):
        saves.append(content)
        if len(saves) == 4:  # two steps, the best, the end of the epoch
            file.write(b"half")
            file.flush()
            die()
        save(content, file)

    torch.save = save_half
