"""Runs with other batches, networks and data: what trains, what is left out, and what stops a run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dfd_train.cli import main
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.prepared import load_prepared


def epochs(run: Path) -> pd.DataFrame:
    lines = RunFolder(run).read_events()
    return pd.DataFrame([line for line in lines if line["event"] == "epoch"])


def test_training_numbers_are_those_of_the_logits_seen(run_command, tmp_path):
    """Without dropout, batch norm and augmentation the first batch can be computed again."""
    out = tmp_path / "run"
    off = ["--flip", "0", "--brightness", "0", "--contrast", "0", "--saturation", "0", "--hue", "0"]
    off += ["--rotation", "0", "--erasing", "0"]
    command = [
        *run_command,
        "--model",
        "tiny_networks:without_batch_norm",
        "--out",
        str(out),
        "--epochs",
        "1",
    ]
    assert main([*command, *off, "--batch-size", "12", "--lr", "1e-9", "--max-steps", "1"]) == 0
    row = epochs(out).iloc[0]
    model = load_model(out / "checkpoints/last.pt", trust=["tiny_networks:without_batch_norm"])
    from dfd_train.data.batches import plan_epoch
    from dfd_train.data.fitting import normalize, resize
    from dfd_train.data.selection import make_pairs, select_videos
    from dfd_train.settings.config import DataConfig

    prepared = load_prepared(Path(model.facts.config.data.work))
    videos = select_videos(prepared.videos, "train").videos
    plan = plan_epoch(
        DataConfig(batch_size=12), videos, make_pairs(videos)[0], epoch=1, total_epochs=1, seed=0
    )
    (batch,) = plan.batches
    images = [
        normalize(resize(prepared.read_crop_at(s.video, s.frame), 32), model.detector.spec) for s in batch
    ]
    labels = np.array([s.label for s in batch])
    with torch.no_grad():
        probs = torch.sigmoid(model.detector.network(torch.stack(images)).flatten()).double().numpy()
    loss = -np.mean(labels * np.log(probs) + (1 - labels) * np.log(1 - probs))
    assert row["train_loss"] == pytest.approx(loss, rel=1e-4)
    assert row["train_frame_accuracy"] == pytest.approx(np.mean((probs > 0.5) == labels))


@pytest.mark.parametrize("extra", [["--batches", "dual"], ["--batches", "shuffled", "--train-frames", "2"]])
def test_other_batches_train_too(extra, run_command, tmp_path):
    assert main([*run_command, *extra, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    assert len(epochs(tmp_path / "run")) == 1


def test_augmentation_on_the_models_device_trains_the_same(run_command, tmp_path):
    for place in ("workers", "model"):
        assert (
            main([*run_command, "--epochs", "1", "--transforms-on", place, "--out", str(tmp_path / place)])
            == 0
        )
    a, b = (
        epochs(tmp_path / place).drop(columns=["seconds", "images_per_second"])
        for place in ("workers", "model")
    )
    pd.testing.assert_frame_equal(a, b, rtol=1e-3)  # equal to rounding


def test_an_ensemble_of_two_runs(small_set, small_set_writer, tmp_path, capsys):
    reseption = [
        "--input-size",
        "75",
        "--batch-size",
        "6",
        "--workers",
        "0",
        "--epochs",
        "1",
        "--max-steps",
        "1",
    ]
    reseption += [
        "--set",
        "model.arguments.width_multiplier=0.125",
        "--set",
        "model.arguments.depth_multiplier=0.25",
    ]
    data = ["--data", str(small_set.work), "--val-frames", "1", "--device", "cpu"]
    sample = small_set_writer(tmp_path / "sample", length=2, demonstration=True).work
    for name, extra in (("reseption_v1", ["--data", str(sample)]), ("reseption_v2", [])):
        assert main(["run", *data, *extra, "--model", name, *reseption, "--out", str(tmp_path / name)]) == 0
    members = f"{tmp_path}/reseption_v1,{tmp_path}/reseption_v2"
    command = ["run", *data, "--model", "reseption_ensemble", "--members", members, "--batch-size", "6"]
    command += ["--epochs", "1", "--max-steps", "2", "--workers", "0", "--out", str(tmp_path / "both")]
    assert main(command) == 0
    preview = ["preview-transforms", "--data", str(small_set.work), "--out", str(tmp_path / "preview.png")]
    assert main([*preview, "--config", "ensemble", "--members", members, "--rows", "1"]) == 0
    for folder in ("reseption_v1", "reseption_v2"):  # the ensemble is complete without its members' folders
        (tmp_path / folder).rename(tmp_path / f"{folder}-gone")
    assert main(["evaluate", str(tmp_path / "both"), "--frames", "1", "--workers", "0"]) == 0
    # what was learnt from the sample stays a demonstration, whatever the head was trained on
    assert load_model(tmp_path / "both").facts.demonstration
    member = load_model(tmp_path / "reseption_v2-gone").detector.network.state_dict()
    joined = load_model(tmp_path / "both").detector.network.members[1].state_dict()
    assert all(torch.equal(value, member[key]) for key, value in joined.items())


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(run_command, tmp_path, capsys):
    out = tmp_path / "run"
    command = [*run_command, "--model", "tiny_networks:not_a_number_in_the_third_batch", "--out", str(out)]
    assert main([*command, "--batch-size", "4"]) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "not finite in epoch 1, batch 3 (4 of 4 crops, first: manipulated_sequences/" in error
        and "frame 8" in error
    )
    assert not (out / "checkpoints/last.pt").exists()


def test_a_validation_that_is_not_finite_stops_with_the_crop_named(run_command, tmp_path, capsys):
    command = [*run_command, "--model", "tiny_networks:not_a_number_in_validation"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "not finite in the validation of epoch 1 (42 of 42 crops, first: " in error and "frame 10)" in error
    )
    assert not (tmp_path / "run/checkpoints").exists()


def test_weights_that_are_not_finite_are_not_saved(run_command, tmp_path, capsys):
    out = tmp_path / "run"
    command = [*run_command, "--model", "tiny_networks:overflowing_in_the_second_step", "--out", str(out)]
    command += ["--batch-size", "4", "--no-gradient-scaling", "--checkpoint-minutes", "0.00001"]
    assert main(command) == 3
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "the weights are no longer finite in epoch 1, batch 2; the last checkpoint is from before it" in error
    )
    saved = torch.load(out / "checkpoints/last.pt", weights_only=True)
    assert saved["state"]["place"]["batches_done"] == 1
    assert all(torch.isfinite(value).all() for value in saved["network"].values())


def test_a_method_left_out_neither_trains_nor_chooses(run_command, tmp_path, capsys):
    """What a model is said never to have seen must not have chosen its checkpoint or its threshold."""
    out = tmp_path / "run"
    command = [*run_command, "--exclude-methods", "NeuralTextures", "--epochs", "1", "--out", str(out)]
    assert main(command) == 0
    data = json.loads((out / "data.json").read_text())
    for split in ("train", "val"):
        assert set(data["splits"][split]["methods"]) == {"Deepfakes", "original_sequences"}
        assert data["splits"][split]["left_out"] == {"excluded method": 3 if split == "train" else 2}
    chosen = pd.read_parquet(out / "predictions-val.parquet")
    assert set(chosen["method"]) == {"Deepfakes", "original_sequences"}
    evaluate = ["evaluate", str(out), "--workers", "0"]
    assert main([*evaluate, "--split", "val"]) == 0
    every = pd.read_parquet(out / "predictions-val.parquet")
    assert "NeuralTextures" in set(every["method"])
    from dfd_train.engine.evaluate import validation_threshold
    from dfd_train.metrics import best_threshold

    assert validation_threshold(out, "best", "mean") == pytest.approx(best_threshold(chosen), abs=1e-6)
    others = every["method"] != "NeuralTextures"
    places = [-9.0, *chosen["logit"].quantile([0.1, 0.3, 0.5, 0.7, 0.9]), 9.0]
    with_it = [best_threshold(every.assign(logit=every["logit"].where(others, place))) for place in places]
    assert any(
        found != best_threshold(chosen) for found in with_it
    )  # it would move the threshold, if it counted


def test_short_videos_are_counted(small_set_writer, tmp_path, caplog):
    work = small_set_writer(tmp_path / "work", edit=lambda table: table.assign(frames_decoded=12)).work
    command = ["run", "--data", str(work), "--model", "tiny_networks:with_batch_norm", "--input-size", "32"]
    command += ["--batch-size", "4", "--epochs", "1", "--workers", "0", "--out", str(tmp_path / "run")]
    with caplog.at_level("INFO"):
        assert main(command) == 0
        assert main(["evaluate", str(tmp_path / "run"), "--workers", "0"]) == 0
    assert "validation: 42 frames of short videos are substitutes" in caplog.text  # 7 of each of 6 videos
    assert "test: 72 frames of short videos are substitutes" in caplog.text


def test_counts_of_what_is_left_out_are_said(small_set_writer, tmp_path, caplog):
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table = table.copy()
        table.loc[0, "multiple_faces"] = True  # an original: its fakes lose their pair
        table.loc[table.index[-1], "status"] = "no_face"
        return table

    work = small_set_writer(tmp_path / "work", edit=edit).work
    command = ["run", "--data", str(work), "--model", "tiny_networks:with_batch_norm", "--input-size", "32"]
    command += ["--batch-size", "4", "--epochs", "1", "--workers", "0", "--out", str(tmp_path / "run")]
    with caplog.at_level("INFO"):
        assert main(command) == 0
    assert "train: 6 fake and 2 real videos; left out: 1 multiple faces" in caplog.text
    assert "4 pairs; 2 fakes without a usable original do not train" in caplog.text
    assert main(["evaluate", str(tmp_path / "run"), "--workers", "0"]) == 0
    scored = pd.read_parquet(tmp_path / "run/predictions-test.parquet")["video_id"].nunique()
    assert scored == 5  # of 6: the one without a face is not scored at all


def test_the_chance_control_trains_on_other_labels(run_command, small_set, tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert main([*run_command, "--shuffle-labels", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    assert "labels are shuffled" in caplog.text
    validation = pd.read_parquet(tmp_path / "run/predictions-val.parquet")
    assert main(["evaluate", str(tmp_path / "run"), "--split", "test", "--workers", "0"]) == 0
    test = pd.read_parquet(tmp_path / "run/predictions-test.parquet")
    real = small_set.videos.set_index("video_id")["label"]
    assert (test["label"] == test["video_id"].map(real)).all()
    labels = validation.drop_duplicates("video_id")
    assert labels["label"].sum() == labels["video_id"].map(real).sum()


def test_leaks_are_refused_unless_allowed_by_name(small_set_writer, tmp_path, capsys, caplog):
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(split=["test" if i == 1 else split for i, split in enumerate(table["split"])])

    work = small_set_writer(tmp_path / "work", edit=edit).work
    command = ["run", "--data", str(work), "--model", "tiny_networks:with_batch_norm", "--input-size", "32"]
    command += ["--batch-size", "4", "--epochs", "1", "--workers", "0", "--out", str(tmp_path / "run")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert (
        "4 leaks, such as same original in several splits: original_sequences/youtube/c23/videos/000.mp4"
        in error
    )
    assert f"all of them: ffpp-prep check-splits {work}; split again" in error
    assert not (tmp_path / "run").exists()
    with caplog.at_level("INFO"):
        assert main([*command, "--set", "data.allow_leaks=true"]) == 0
    assert "4 leaks between splits, allowed by name" in caplog.text
    assert json.loads((tmp_path / "run/data.json").read_text())["leaks"] == 4
