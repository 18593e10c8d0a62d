"""A run that was killed or interrupted anywhere ends bit for bit where a straight one ends."""

import os
import signal
from pathlib import Path

import pytest
import torch
from forked import Forked
from resuming import (
    FULL,
    MORTAL,
    assert_same_run,
    command,
    dying_before_epochs,
    dying_before_predictions,
    dying_within_last,
    events,
    place,
    start,
    straight_run,
    wait_until,
)

from dfd_train.cli import main

FULL_ONLY = pytest.mark.full  # more of a kind that `make test` has one of


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, small_set) -> Path:
    return straight_run(tmp_path_factory.mktemp("straight") / "run", small_set.work)


@pytest.fixture(scope="module")
def mortal_straight(tmp_path_factory: pytest.TempPathFactory, small_set) -> Path:
    out = tmp_path_factory.mktemp("mortal") / "run"
    assert main([*command(small_set.work), *MORTAL, "--out", str(out)]) == 0
    return out


def test_killed_between_epochs_and_within_one(mortal_straight, small_set, tmp_path, monkeypatch):
    """SIGKILL after the first epoch, then again within the second: the rest is the straight run's."""
    out = tmp_path / "run"
    arguments = [*command(small_set.work), *MORTAL, "--out", str(out)]
    monkeypatch.setenv(
        "SECONDS_A_PASS", "0.3"
    )  # slow enough to be killed before its end, however busy the machine
    process = Forked([*arguments, "--checkpoint-minutes", "10"])
    wait_until((out / "checkpoints/last.pt").is_file, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert place(out)["epoch"] < 4

    process = Forked(arguments)  # every step saved
    seen = (out / "checkpoints/last.pt").stat().st_mtime_ns
    wait_until(lambda: (out / "checkpoints/last.pt").stat().st_mtime_ns > seen, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    monkeypatch.delenv("SECONDS_A_PASS")
    assert main(arguments) == 0
    assert_same_run(mortal_straight, out)
    assert [event["event"] for event in events(out)].count("resume") >= 1


@pytest.mark.parametrize(
    ("dies_before", "saved"),
    [pytest.param(5, (2, 0), marks=FULL_ONLY), (6, (2, 2)), pytest.param(9, (3, 2), marks=FULL_ONLY)],
)
def test_killed_at_a_known_batch(dies_before, saved, mortal_straight, small_set, tmp_path, monkeypatch):
    """Three batches an epoch, the second and the third followed by a step, each step saved."""
    arguments = [*command(small_set.work), *MORTAL, "--out", str(tmp_path / "run")]
    monkeypatch.setenv("DIE_BEFORE_PASS", str(dies_before))
    process = Forked(arguments)
    assert process.wait(timeout=120) == -signal.SIGKILL, process.stderr.read().decode()
    monkeypatch.delenv("DIE_BEFORE_PASS")
    reached = place(tmp_path / "run")
    assert (reached["epoch"], reached["batches_done"]) == saved
    assert main(arguments) == 0
    assert_same_run(mortal_straight, tmp_path / "run")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", pytest.param("SIGTERM", marks=FULL_ONLY)])
def test_stopped_within_a_validation(name, mortal_straight, small_set, tmp_path, monkeypatch):
    """Eleven batches validate an epoch; it begins anew, after what has trained."""
    arguments = [*command(small_set.work), *MORTAL, "--out", str(tmp_path / "run")]
    monkeypatch.setenv("SIGNAL_BEFORE_SCORING", f"{name} 5")
    process = Forked(arguments)
    error = process.communicate(timeout=120)[1].decode()
    if name == "SIGKILL":
        assert process.returncode == -signal.SIGKILL, error
    else:
        assert process.returncode == 130 and "the same command goes on" in error, error
        assert "Traceback" not in error
    monkeypatch.delenv("SIGNAL_BEFORE_SCORING")
    reached = place(tmp_path / "run")
    assert (reached["epoch"], reached["batches_done"]) == (1, 3)
    assert not (tmp_path / "run/checkpoints/best.pt").exists()
    assert main(arguments) == 0
    assert_same_run(mortal_straight, tmp_path / "run")


def half_written(out):
    return [path for path in out.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize(
    ("dying", "left"),
    [
        (dying_before_predictions, 0),  # best.pt is there
        # its predictions and the epoch's event are too
        pytest.param(dying_before_epochs, 0, marks=FULL_ONLY),
        (dying_within_last, 1),  # last.pt is begun
    ],
)
def test_killed_between_the_best_and_the_last_checkpoint(dying, left, mortal_straight, small_set, tmp_path):
    out = tmp_path / "run"
    arguments = [*command(small_set.work), *MORTAL, "--out", str(out)]
    process = Forked(arguments, before=dying)
    assert process.wait(timeout=120) == -signal.SIGKILL, process.stderr.read().decode()
    best = torch.load(out / "checkpoints/best.pt", weights_only=True)
    assert best["epoch"] == 1 and place(out)["epoch"] == 1 and place(out)["batches_done"] == 3
    assert len(half_written(out)) == left
    assert main(arguments) == 0
    assert_same_run(mortal_straight, out)
    assert not half_written(out)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=FULL_ONLY)])
def test_interrupted_within_an_epoch(number, straight, small_set, tmp_path):
    """Ctrl-C and SIGTERM end with 130 and a checkpoint, in the middle of an epoch; the same command goes on.

    A terminal and a batch scheduler send the signal to loader processes too.
    """
    out = tmp_path / "run"
    arguments = [*command(small_set.work), "--out", str(out), *FULL, "--workers", "2"]
    process = start(arguments)
    wait_until((out / "events.jsonl").is_file, process)
    os.killpg(process.pid, number)
    error = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 130, error
    assert "the same command goes on" in error and "Traceback" not in error
    assert place(out)["batches_done"] > 0 or place(out)["epoch"] > 1
    assert main(arguments) == 0
    assert_same_run(straight, out)
