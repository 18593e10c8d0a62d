"""A run that was stopped goes on with the same data and settings, and ends bit for bit where a straight one ends."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from resuming import FULL, assert_same_run, command, epochs, events, straight_run

from dfd_train.cli import main
from dfd_train.data.loader import BatchLoader
from dfd_train.data.spec import InputSpec
from dfd_train.engine import train
from dfd_train.engine.data import open_data
from dfd_train.engine.length import check_length
from dfd_train.engine.place import Place
from dfd_train.engine.processes import Processes
from dfd_train.engine.score import Scoring, score_videos, scoring_batches
from dfd_train.settings.config import build_config
from ffpp_prep.format.prepared import load_prepared


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, small_set) -> Path:
    return straight_run(tmp_path_factory.mktemp("straight") / "run", small_set.work)


def test_the_same_command_twice_gives_the_same_run(straight, small_set, tmp_path):
    assert main([*command(small_set.work), "--out", str(tmp_path / "run"), *FULL]) == 0
    assert_same_run(straight, tmp_path / "run")


def test_the_number_of_workers_changes_nothing(straight, small_set, tmp_path):
    arguments = [*command(small_set.work), "--out", str(tmp_path / "run"), *FULL, "--workers", "2"]
    assert main(arguments) == 0
    assert_same_run(straight, tmp_path / "run")


def test_what_is_loaded_during_validation_can_train(small_set):
    """A loader with several processes takes batches of the next epoch in while it waits for one of validation."""
    prepared = load_prepared(small_set.work)
    videos, scoring = prepared.videos[prepared.videos["split"] == "val"], Scoring(1, 4, 0, "off")
    spec, usable = InputSpec(8), []

    def watched():
        batches = scoring_batches(videos, scoring, Processes())
        for batch in BatchLoader(prepared, spec, workers=0).load(batches, torch.device("cpu")):
            usable.append(not torch.is_inference_mode_enabled())
            yield batch

    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 1))
    score_videos(network, spec, prepared, videos, scoring, device=torch.device("cpu"), loaded=watched())
    assert len(usable) == 2 and all(usable)


def test_a_finished_run_is_left_alone(straight, small_set, caplog):
    before = (straight / "events.jsonl").read_bytes(), (straight / "checkpoints/last.pt").stat().st_mtime_ns
    with caplog.at_level("INFO"):
        assert main([*command(small_set.work), "--out", str(straight), *FULL]) == 0
    assert "all 3 epochs are done" in caplog.text
    assert before == (
        (straight / "events.jsonl").read_bytes(),
        (straight / "checkpoints/last.pt").stat().st_mtime_ns,
    )


def test_changed_settings_are_refused_by_name(straight, small_set, capsys):
    arguments = [*command(small_set.work), "--out", str(straight), *FULL, "--lr", "0.01", "--no-plateau"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "optimizer.lr: 0.001 -> 0.01" in error and "schedule.plateau: True -> False" in error
    assert error.count("\n") == 1


def test_a_longer_run_is_that_of_its_length(straight, small_set, tmp_path):
    """Where the frames of the epochs done are those of the longer run, going on is exact."""
    out = tmp_path / "run"
    arguments = [*command(small_set.work), "--out", str(out), *FULL, "--max-steps", "9"]
    assert main([*arguments, "--epochs", "2"]) == 0
    assert epochs(out)["epoch"].tolist() == [1, 2]
    assert main([*command(small_set.work), "--out", str(out), *FULL]) == 0
    assert_same_run(straight, out)
    assert (out / "config.toml").read_bytes() == (straight / "config.toml").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--epochs", "2"], "(train.epochs: 3 -> 2), begun so far: 3 epochs; choose another --out"),
        (
            ["--epochs", "29"],
            "(train.epochs: 3 -> 29), epoch 1 would have shown other frames (the shortest video has 24 frames: "
            "original_sequences/youtube/c23/videos/000.mp4); choose another --out",
        ),
        (["--max-steps", "1"], "(train.max_steps: unset -> 1), epoch 1 would have shown other frames"),
    ],
)
def test_a_length_that_would_have_begun_otherwise_is_refused(
    changes, message, straight, small_set, capsys, caplog
):
    before = (straight / "config.toml").read_bytes()
    caplog.set_level("INFO")
    assert main([*command(small_set.work), "--out", str(straight), *FULL, *changes]) == 2
    assert message in (error := capsys.readouterr().err) and error.count("\n") == 1, error
    assert "batches an epoch" not in caplog.text  # before anything is said of a run
    assert (straight / "config.toml").read_bytes() == before


def test_a_cosine_run_keeps_its_length():
    cosine = build_config({}, [("schedule.curve", "cosine")])
    longer = build_config({}, [("schedule.curve", "cosine"), ("train.epochs", "60")])
    check_length(cosine, longer, Place(), plan=None)  # nothing is done yet
    with pytest.raises(ValueError, match="the cosine curve depends on the number of epochs"):
        check_length(cosine, longer, Place(epoch=2), plan=None)


def test_a_longer_run_that_is_begun_goes_on_with_its_length():
    """The first command, typed again, has the shorter one; so it is told only where that is all that differs."""
    longer = build_config({}, [("train.epochs", "9")])
    first, other = replace(longer.train, epochs=3), replace(longer.train, epochs=3, max_steps=1)
    with pytest.raises(ValueError, match=r"9 -> 3\), begun so far: 4 epochs; --epochs 9 goes on with it$"):
        check_length(longer, replace(longer, train=first), Place(epoch=5), plan=None)
    for config, place in ((other, Place(epoch=5)), (first, Place(epoch=10))):
        with pytest.raises(ValueError, match=r"begun so far: [0-9]+ epochs?; choose another --out"):
            check_length(longer, replace(longer, train=config), place, plan=None)


def test_a_refused_length_says_which_one_would_do(small_set):
    """The shortest video has 24 frames, epoch 1 shows frame 8: it has to be below 24 - epochs."""
    config = build_config({}, [("data.work", str(small_set.work)), ("train.epochs", "3")])
    longer = build_config({}, [("data.work", str(small_set.work)), ("train.epochs", "29")])
    plan = open_data(config).plan
    with pytest.raises(ValueError, match="; at most 15 epochs would do, or choose another --out"):
        check_length(config, longer, Place(epoch=2), plan)
    longest = build_config({}, [("data.work", str(small_set.work)), ("train.epochs", "15")])
    check_length(config, longest, Place(epoch=2), plan)


def test_other_data_is_refused(straight, small_set, small_set_writer, tmp_path, capsys):
    others = (
        small_set_writer(tmp_path / "longer", length=30),
        small_set_writer(tmp_path / "guessed", detection={"every": 8}),
        small_set_writer(tmp_path / "lossy", codec="jpeg"),
    )
    copy = tmp_path / "run"
    (copy / "checkpoints").mkdir(parents=True)
    content = torch.load(straight / "checkpoints/last.pt", weights_only=True)
    torch.save(content | {"epoch": 2}, copy / "checkpoints/last.pt")
    (copy / "config.toml").write_bytes((straight / "config.toml").read_bytes())
    for other in others:
        assert main([*command(other.work), "--out", str(copy), *FULL]) == 2
        assert "is not the data that this run began with" in capsys.readouterr().err


def test_other_untouched_frames_are_refused(small_set, small_set_writer, tmp_path, capsys):
    """What check-fakes says decides which frames train: a run does not go on when that has changed."""
    work, out = small_set_writer(tmp_path / "work").work, tmp_path / "run"
    fake = small_set.videos[(small_set.videos["label"] == 1) & (small_set.videos["split"] == "train")].iloc[0]

    def say_untouched(frame: int) -> None:
        rows = pd.DataFrame({"video_id": [fake.video_id], "frame": frame, "face": 0, "touched": False})
        (work / "fakes").mkdir(exist_ok=True)
        rows.to_parquet(work / "fakes/fakes-00000.parquet")
        rows[["video_id"]].to_parquet(work / "fakes/videos-00000.parquet")

    say_untouched(5)
    arguments = [*command(work), "--untouched", "drop", "--out", str(out)]
    assert main(arguments) == 0
    data = json.loads((out / "data.json").read_text())
    assert data["untouched_frames_left_out"] == 1 and len(data["untouched_sha256"]) == 64
    content = torch.load(out / "checkpoints/last.pt", weights_only=True)
    torch.save(content | {"epoch": 2}, out / "checkpoints/last.pt")
    say_untouched(6)
    assert main(arguments) == 2
    assert "untouched than when this run began" in capsys.readouterr().err
    say_untouched(5)
    assert main(arguments) == 0


def test_only_the_folder_is_needed_to_go_on(straight, caplog):
    with caplog.at_level("INFO"):
        assert main(["run", "--out", str(straight)]) == 0
    assert "all 3 epochs are done" in caplog.text


@pytest.fixture
def stopped(small_set, tmp_path) -> Path:
    """A run of three epochs after its first."""
    out = tmp_path / "stopped"
    assert main([*command(small_set.work), "--out", str(out), *FULL, "--epochs", "1"]) == 0
    return out


def test_the_last_checkpoint_is_read_once(stopped, small_set, monkeypatch):
    read, load = [], torch.load

    def counted(path: Path, **options: object) -> object:
        read.append(Path(path).name)
        return load(path, **options)

    monkeypatch.setattr(torch, "load", counted)
    assert main([*command(small_set.work), "--out", str(stopped), *FULL, "--epochs", "2"]) == 0
    assert read == ["last.pt"]
    assert main([*command(small_set.work), "--out", str(stopped), *FULL, "--epochs", "2"]) == 0  # done
    assert read == ["last.pt"] * 2


def test_what_another_run_did_in_the_meantime_counts(stopped, small_set, straight, monkeypatch):
    """One that had the folder between this one's look at the last checkpoint and its own hold on the folder."""
    arguments = [*command(small_set.work), "--out", str(stopped), *FULL]
    describe = train.describe_data

    def meanwhile(*given: object) -> list[str]:
        monkeypatch.undo()
        assert main([*arguments, "--epochs", "2"]) == 0
        return describe(*given)

    monkeypatch.setattr(train, "describe_data", meanwhile)
    assert main(arguments) == 0
    assert_same_run(straight, stopped)
    begun = [(event["event"], event["epoch"]) for event in events(stopped) if "processes" in event]
    assert begun == [("start", 1), ("resume", 2), ("resume", 3)]
