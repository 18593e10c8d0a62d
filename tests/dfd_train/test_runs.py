"""A run's folder: whose it is, and what is damaged in it."""

import json
import os
import re
import signal
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from forked import Forked
from resuming import FULL, assert_same_run, command, straight_run, wait_until

from dfd_train.calibration.precision import kept_checks
from dfd_train.cli import main
from dfd_train.engine.resume import read_last
from dfd_train.errors import UserError
from dfd_train.runs.checkpoint import load_checkpoint
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions
from ffpp_prep.errors import Damaged
from ffpp_prep.format import files


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, small_set) -> Path:
    return straight_run(tmp_path_factory.mktemp("straight") / "run", small_set.work)


def copy(run: Path, to: Path) -> Path:
    for file in run.rglob("*"):
        if file.is_file():
            (to / file.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
            (to / file.relative_to(run)).write_bytes(file.read_bytes())
    return to


def test_a_run_that_begins_leaves_alone_what_an_evaluation_is_writing(tmp_path):
    """Evaluations take no lock: the predictions of one vanished before they had their name."""
    run = RunFolder(tmp_path / "run")
    left = run.path / ".tmp-0123abcd-predictions-val.parquet"
    with files.replacing(run.predictions("test")) as temporary:
        for path in (temporary, left):
            path.write_bytes(b"scores")
        os.utime(left, (0, time.time() - 3600))
        with run.held():
            assert not left.exists()
    assert run.predictions("test").read_bytes() == b"scores"


def test_a_second_run_in_a_folder_is_refused_and_the_first_ends_well(small_set, tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDS_A_PASS", "0.1")
    out = tmp_path / "run"
    arguments = [
        *command(small_set.work),
        "--model",
        "tiny_networks:mortal",
        "--epochs",
        "1",
        "--out",
        str(out),
    ]
    first = Forked(arguments)
    wait_until(out.joinpath("config.toml").exists, first)
    first.send_signal(signal.SIGSTOP)
    (out / "checkpoints").mkdir(exist_ok=True)
    written = out / "checkpoints" / ".last.pt.ours"  # what the first one is about to rename
    written.touch()
    second = Forked(arguments)
    last = second.communicate(60)[1].decode().strip().splitlines()[-1]
    whose = f"process {first.pid} on {socket.gethostname()}"
    assert second.returncode == 2
    assert last == f"dfd-train: {out}: another dfd-train run is at work here, {whose}; wait for it or stop it"
    assert written.exists()
    first.send_signal(signal.SIGCONT)
    assert first.wait(60) == 0
    assert [event["event"] for event in RunFolder(out).read_events()] == ["start", "epoch", "finish"]


def flipped(path: Path, random: np.random.Generator) -> bytes:
    """The content of a file with one bit flipped."""
    content = bytearray(path.read_bytes())
    bit = int(random.integers(8 * len(content)))
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_flipped_bit_in_a_checkpoint_never_changes_what_is_loaded(name, straight, tmp_path):
    path = straight / f"checkpoints/{name}.pt"
    random = np.random.default_rng(0)
    _, sound = load_checkpoint(path)
    found = 0
    for number in range(60):
        damaged = tmp_path / f"checkpoints/{number}-{name}.pt"
        damaged.parent.mkdir(exist_ok=True)
        damaged.write_bytes(flipped(path, random))
        try:
            _, content = load_checkpoint(damaged)
        except UserError as error:
            found += 1
            assert str(error).startswith(str(damaged)) and "damaged" in str(error) and "; " in str(error)
        else:  # a bit that nobody reads, such as of padding
            assert str(content) == str(sound)
    assert found > 20


def test_a_run_whose_last_checkpoint_is_lost_does_not_begin_anew(straight, tmp_path):
    """It would write its first epoch over the best checkpoint of all."""
    run = copy(straight, tmp_path / "run")
    folder = RunFolder(run)
    folder.last.unlink()
    with pytest.raises(UserError, match=r"last\.pt is missing: .*best\.pt; .*copy, or choose another --out"):
        read_last(folder)
    lines = folder.events.read_bytes().splitlines(keepends=True)
    folder.events.write_bytes(b"".join(lines[:2]))  # killed before the first last.pt was there
    assert [event["event"] for event in folder.read_events()] == ["start", "epoch"]
    assert read_last(folder) is None
    folder.best.unlink()
    with pytest.raises(FileNotFoundError, match=r"no such checkpoint: .*best\.pt; take it from a copy"):
        load_checkpoint(folder.best)


@pytest.mark.parametrize("damage", ["flipped", "half", "empty", "page"])
@pytest.mark.parametrize("name", ["best", "last"])
def test_what_a_damaged_checkpoint_advises_helps(straight, tmp_path, capsys, name, damage):
    """Each command names one that still works: the other checkpoint is scored."""
    run = copy(straight, tmp_path / "run")
    path = run / f"checkpoints/{name}.pt"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content[largest.header_offset + 200] ^= 0x40  # behind its header, of less than 130 bytes
    other = {"half": content[: len(content) // 2], "empty": b"", "page": b"<!DOCTYPE html><title>Not found"}
    path.write_bytes(other.get(damage, content))
    commands = [["evaluate", str(run), "--checkpoint", name, "--workers", "0"]]
    commands += [["export", str(run), "--out", str(tmp_path / "weights")]] if name == "best" else []
    for typed in commands:
        assert main(typed) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert str(path) in line
        advised = re.search(r"`dfd-train (evaluate [^`]+)`", line)
        assert advised and main([*advised[1].split(), "--workers", "0"]) == 0
        capsys.readouterr()


def test_a_flipped_bit_in_a_table_of_predictions_never_changes_what_is_read(straight, tmp_path):
    path = RunFolder(straight).predictions("val")
    random = np.random.default_rng(0)
    sound, facts = read_predictions(path)
    damaged = tmp_path / "predictions-val.parquet"
    for _ in range(60):
        damaged.write_bytes(flipped(path, random))
        with pytest.raises(UserError, match=r"predictions-val.parquet: damaged: .*dfd-train evaluate"):
            read_predictions(damaged)
    pd.testing.assert_frame_equal(sound, read_predictions(path)[0])
    assert facts["demonstration"] == "false"


def test_a_run_goes_on_where_its_events_are_damaged(straight, small_set, tmp_path, caplog):
    """Every event is a record, no part of the state: the line is named, and the weights come out the same."""
    out = tmp_path / "run"
    arguments = [*command(small_set.work), "--out", str(out)]
    assert main([*arguments, *FULL, "--epochs", "2", "--checkpoint-minutes", "0"]) in (0, 2)
    events = out / "events.jsonl"
    lines = events.read_bytes().split(b"\n")
    assert json.loads(lines[1])["event"] == "epoch"
    for damaged in (b"\xff" + lines[1][1:], lines[1].replace(b"train_loss", b"train_lost"), b"[]", b"17"):
        events.write_bytes(b"\n".join([lines[0], damaged, *lines[2:]]))
        caplog.clear()
        kept = RunFolder(out).read_events()
        assert [e["event"] for e in kept].count("epoch") == 1
        assert f"{events} line 2 is damaged" in caplog.text
    assert main([*arguments, *FULL]) == 0
    assert f"{events} line 2 is damaged" in caplog.text
    for name in ("last", "best"):
        ours, theirs = (
            torch.load(run / f"checkpoints/{name}.pt", weights_only=True)["network"]
            for run in (out, straight)
        )
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert pd.read_csv(out / "epochs.csv")["epoch"].tolist() == [2, 3]


def test_events_of_before_there_were_checksums_are_read(straight, tmp_path):
    run = copy(straight, tmp_path / "run")
    before = RunFolder(run).read_events()
    (run / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in before))
    assert RunFolder(run).read_events() == before
    assert_same_run(straight, run)


@pytest.mark.parametrize("content", ["", "\n", "# unset: a\n"])
def test_an_empty_record_of_settings_is_no_run_with_the_defaults(tmp_path, content):
    (tmp_path / "config.toml").write_text(content)
    with pytest.raises(
        UserError, match=r"config\.toml: damaged: it is empty; take it from a copy of the run"
    ):
        RunFolder(tmp_path).read_config()


def test_a_bug_keeps_its_traceback_and_has_a_status_of_its_own(monkeypatch, capsys, tmp_path):
    def broken(*_: object) -> None:
        np.zeros(3) + np.zeros(4)  # a ValueError of NumPy's

    monkeypatch.setattr("dfd_train.commands.settings.build_config", broken)
    assert main(["run", "--out", str(tmp_path / "run")]) == 70
    error = capsys.readouterr().err
    assert "Traceback" in error and "could not be broadcast" in error and "in broken" in error


@pytest.mark.parametrize(
    "record", [{"splits": []}, {"splits": {"train": "x"}}, {"datasets": 3}, {"sets": [1]}, {"work": [1]}]
)
def test_a_record_with_another_kind_of_value_says_what_to_do(tmp_path, record):
    (tmp_path / "data.json").write_text(json.dumps(record))
    with pytest.raises(
        Damaged, match=r"data\.json: damaged: Expected .*; it is a record: take it from a copy"
    ):
        RunFolder(tmp_path).read_data()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.pt").write_bytes(b"")
    (tmp_path / "precision.json").write_text(json.dumps({"bf16 cpu": record}))
    with pytest.raises(Damaged, match=r"precision\.json: damaged: .*; remove it: it is made again"):
        kept_checks(tmp_path)


def test_events_that_lack_what_readers_need_are_passed_over(tmp_path, caplog):
    whole = {"event": "epoch", "epoch": 2, "val_loss": 0.5}
    broken = [
        {"event": "epoch"},
        {"event": "epoch", "epoch": "2"},
        {"event": "gradient_flow", "epoch": 2},
        {"epoch": 1},
    ]
    lines = [json.dumps(event) for event in [*broken, whole]]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    folder = RunFolder(tmp_path)
    assert folder.read_events() == [whole] and caplog.text.count("is damaged") == len(broken)
    folder.drop_epochs_after(1)
    assert folder.read_events() == []
