"""Whole runs on a small set: what they write, that they learn, and what they refuse."""

import json
import shutil
import struct
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from dfd_train.cli import main
from dfd_train.data.frames import evaluation_frames
from dfd_train.data.prepared import load_prepared
from dfd_train.engine.checkpoint import load_model
from dfd_train.runs import file_sha256


def epochs(run: Path) -> pd.DataFrame:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return pd.DataFrame([line for line in lines if line["event"] == "epoch"])


@pytest.fixture(scope="module")
def learned(small_set_writer, tmp_path_factory) -> Path:
    """A run long enough to tell the fakes' stripes."""
    folder = tmp_path_factory.mktemp("learned")
    work = small_set_writer(folder / "work", length=60, demonstration=True).work
    arguments = ["--model", "tiny_networks:with_batch_norm", "--input-size", "32", "--batch-size", "6"]
    arguments += ["--epochs", "25", "--lr", "0.03", "--workers", "0", "--device", "cpu"]
    arguments += ["--rotation", "0", "--erasing", "0", "--batch-size", "4"]
    assert main(["run", "--data", str(work), "--out", str(folder / "run"), *arguments]) == 0
    return folder / "run"


def test_a_run_learns_and_keeps_its_best_checkpoint(learned):
    table = epochs(learned)
    assert table["epoch"].tolist() == list(range(1, 26))
    assert table["train_loss"].tail(5).mean() < 0.6 < table["train_loss"].head(3).mean()
    assert table["val_balanced_accuracy"].max() > 0.5 and table["val_auc"].tail(5).min() == 1.0
    best = int(table.loc[table["val_balanced_accuracy"].idxmax(), "epoch"])
    assert load_model(learned).facts.epoch == best
    assert torch.load(learned / "checkpoints/last.pt", weights_only=True)["epoch"] == 25


def test_the_learning_rate_of_the_record_is_the_thesis_product(learned):
    table = epochs(learned)
    best, bad, reductions = np.inf, 0, 0
    for done, row in enumerate(table.itertuples()):
        assert row.lr == pytest.approx(0.03 * 0.94 ** (done // 2) * 0.5**reductions)
        best, bad = (row.train_loss, 0) if row.train_loss < best * (1 - 1e-4) else (best, bad + 1)
        if bad > 2:
            reductions, bad = reductions + 1, 0


def test_a_run_folder_has_everything_in_it(learned):
    with (learned / "config.toml").open("rb") as file:
        config = tomllib.load(file)
    assert config["train"]["epochs"] == 25 and config["optimizer"]["lr"] == 0.03
    assert config["transforms"]["hue"] == 0.1  # defaults are written too
    data = json.loads((learned / "data.json").read_text())
    assert data["demonstration"] is True and data["pairs"] == 6 and len(data["fingerprint"]) == 64
    assert data["splits"]["train"]["methods"] == {
        "Deepfakes": 3,
        "NeuralTextures": 3,
        "original_sequences": 3,
    }
    assert json.loads((learned / "environment.json").read_text())["packages"]["torch"] in torch.__version__
    assert not list(learned.rglob(".*"))  # no temporary file is left


def test_predictions_are_the_networks_logits(learned, capsys):
    """Every row again by hand: crop, resize, normalise, network."""
    assert main(["evaluate", str(learned), "--split", "test", "--workers", "0"]) == 0
    output = capsys.readouterr().out
    assert "demonstration model, not evidence" in output and "Overall" in output
    for measure in (
        "Average precision",
        "Equal error rate",
        "Log loss",
        "Calibration error",
        "95 % interval",
    ):
        assert measure in output
    path = learned / "predictions-test.parquet"
    predictions = pd.read_parquet(path)
    columns = ["video_id", "dataset", "compression", "method", "split", "original_id"]
    assert predictions.columns.tolist() == [*columns, "face", "frame", "label", "logit"]
    types = {"face": "int8", "frame": "int32", "label": "int8", "logit": "float32"}
    assert {name: str(predictions[name].dtype) for name in types} == types
    metadata = pq.read_schema(path).metadata
    assert metadata[b"demonstration"] == b"true" and metadata[b"frames_per_video"] == b"12"
    assert metadata[b"checkpoint_sha256"].decode() == file_sha256(learned / "checkpoints/best.pt")
    assert (learned / "predictions.parquet").read_bytes() == path.read_bytes()
    data = json.loads((learned / "data.json").read_text())
    assert metadata[b"work"].decode() == str(Path(data["work"]).resolve())
    assert metadata[b"data_fingerprint"].decode() == data["fingerprint"]

    model = load_model(learned)

    prepared = load_prepared(Path(model.facts.config.data.work))
    test = prepared.videos[prepared.videos["split"] == "test"]
    assert set(predictions["video_id"]) == set(test["video_id"])
    for row in test.itertuples():
        own = predictions[predictions["video_id"] == row.video_id]
        assert own["frame"].tolist() == evaluation_frames(row.frames_decoded, 12)[0]
        assert set(own["label"]) == {row.label} and set(own["method"]) == {row.method}
    from torchvision.transforms.functional import resize, to_pil_image

    for row in predictions.iloc[::9].itertuples():
        crop = prepared.read_crop(row.video_id, row.frame)
        image = np.asarray(resize(to_pil_image(crop), [32, 32]), np.float32) / 127.5 - 1
        with torch.no_grad():
            logit = model.detector.network(torch.from_numpy(image).permute(2, 0, 1)[None]).item()
        assert logit == pytest.approx(row.logit, abs=0.02)


def test_the_model_generalises_to_another_set(learned, small_set, small_set_writer, tmp_path, capsys):
    other = small_set_writer(tmp_path / "celeb", edit=lambda table: table.assign(dataset="celebdf")).work
    before = (
        (learned / "predictions-test.parquet").read_bytes()
        if (learned / "predictions-test.parquet").exists()
        else b""
    )
    capsys.readouterr()
    assert main(["evaluate", str(learned), "--data", str(other), "--frames", "5", "--workers", "0"]) == 0
    assert "No identity of the training videos is among the 6 tested ones." in capsys.readouterr().out
    predictions = pd.read_parquet(learned / "predictions-test-on-celeb.parquet")
    assert set(predictions["dataset"]) == {"celebdf"} and (predictions.groupby("video_id").size() == 5).all()
    if before:
        assert (learned / "predictions-test.parquet").read_bytes() == before

    def same_people(table):
        """The test split shows the training split's first person."""
        test = table["split"] == "test"
        changed = {c: table[c].mask(test & (table[c] == "005"), "000") for c in ("source_id", "target_id")}
        return table.assign(**changed)

    known = small_set_writer(tmp_path / "known/work", edit=same_people).work
    evaluate = ["evaluate", str(learned), "--frames", "1", "--workers", "0"]
    assert main([*evaluate, "--data", str(known)]) == 0
    line = "1 identities of the training videos are in 3 of the 6 tested ones: ffpp/000."
    assert line in capsys.readouterr().out
    # folders are often of one name: neither the run's own predictions nor another set's are written over
    more = small_set_writer(tmp_path / "more/work", length=20).work
    assert main([*evaluate, "--data", str(more)]) == 0
    assert main([*evaluate, "--data", str(known)]) == 0
    names = {path.name for path in learned.glob("predictions-test-on-*work.parquet")}
    assert names == {f"predictions-test-on-{place}-work.parquet" for place in ("known", "more")}
    assert "without" not in (own := json.loads((learned / "data.json").read_text()))["work"]
    assert main([*evaluate, "--data", own["work"]]) == 0  # the run's own set, named: no other set's
    assert len(list(learned.glob("predictions-test-on-*.parquet"))) == 3


def test_a_set_without_splits_is_scored_whole(learned, small_set_writer, tmp_path, capsys, caplog):
    """As a folder of one's own, or a data set whose layout divides nothing; the threshold is the run's own."""
    other = small_set_writer(tmp_path / "folder", edit=lambda table: table.assign(split=None)).work
    evaluate = ["evaluate", str(learned), "--frames", "1", "--workers", "0"]
    capsys.readouterr()
    assert main([*evaluate, "--data", str(other)]) == 2
    message = "has no video in split 'test', but no split 21: --split all scores every video"
    assert message in capsys.readouterr().err
    from dfd_train.engine.evaluate import validation_threshold

    validation = validation_threshold(learned, "best", "mean")
    assert main([*evaluate, "--data", str(other), "--split", "all", "--threshold", "validation"]) == 0
    output = capsys.readouterr().out
    assert "Coverage: all 21 videos scored." in output and f"is above {validation:g};" in output
    predictions = pd.read_parquet(learned / "predictions-all-on-folder.parquet")
    assert predictions["video_id"].nunique() == len(predictions) == 21
    assert main(["report", str(learned)]) == 0
    assert "All videos of folder" in (learned / "report.html").read_text()
    assert main([*evaluate, "--split", "all"]) == 0
    assert "15 of these videos trained the model or chose its checkpoint" in caplog.text
    assert pd.read_parquet(learned / "predictions-all.parquet")["video_id"].nunique() == 21


def test_evaluate_says_which_epoch_and_whether_the_run_finished(learned, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(learned, run)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("epochs = 25", "epochs = 30"))
    best = load_model(learned).facts.epoch
    capsys.readouterr()
    evaluate = ["evaluate", "--frames", "1", "--workers", "0"]
    assert main([*evaluate, str(learned)]) == 0
    assert f"Checkpoint: best, of epoch {best}.\n" in capsys.readouterr().out
    assert main([*evaluate, str(run), "--checkpoint", "last"]) == 0
    line = "Checkpoint: last, of epoch 25; the run is unfinished, stopped at epoch 25 of 30.\n"
    assert line in capsys.readouterr().out
    metadata = pq.read_schema(run / "predictions-test.parquet").metadata
    assert metadata[b"checkpoint"] == b"last" and metadata[b"checkpoint_epoch"] == b"25"
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Last checkpoint, epoch 25; stopped at epoch 25 of 30." in page
    assert f"Best checkpoint, epoch {best}; stopped at epoch 25 of 30." in page  # training's own validation


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
    model = load_model(out / "checkpoints/last.pt")
    from dfd_train.config import DataConfig
    from dfd_train.data.batches import plan_epoch
    from dfd_train.data.selection import make_pairs, select_videos
    from dfd_train.data.transforms import normalize, resize

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
    pd.testing.assert_frame_equal(a, b)


def test_an_ensemble_of_two_runs(small_set, tmp_path, capsys):
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
    for name in ("reseption_v1", "reseption_v2"):
        assert main(["run", *data, "--model", name, *reseption, "--out", str(tmp_path / name)]) == 0
    members = f"{tmp_path}/reseption_v1,{tmp_path}/reseption_v2"
    command = ["run", *data, "--model", "reseption_ensemble", "--members", members, "--batch-size", "6"]
    command += ["--epochs", "1", "--max-steps", "2", "--workers", "0", "--out", str(tmp_path / "both")]
    assert main(command) == 0
    for folder in ("reseption_v1", "reseption_v2"):  # the ensemble is complete without its members' folders
        (tmp_path / folder).rename(tmp_path / f"{folder}-gone")
    assert main(["evaluate", str(tmp_path / "both"), "--frames", "1", "--workers", "0"]) == 0
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
    every["logit"] = every["logit"].where(
        every["method"] != "NeuralTextures", -9.0
    )  # would move it, if it counted
    assert best_threshold(every) != best_threshold(chosen)


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
    assert "2 leaks between splits, such as: ffpp identity 000 in test, train" in error
    assert not (tmp_path / "run").exists()
    with caplog.at_level("INFO"):
        assert main([*command, "--set", "data.allow_leaks=true"]) == 0
    assert "2 leaks between splits, allowed by name" in caplog.text
    assert json.loads((tmp_path / "run/data.json").read_text())["leaks"] == 2


def test_a_threshold_from_validation_and_the_common_protocol(learned, capsys):
    command = ["evaluate", str(learned), "--split", "test", "--workers", "0"]
    assert main([*command, "--threshold", "validation"]) == 0
    output = capsys.readouterr().out
    from dfd_train.metrics import best_threshold

    expected = best_threshold(pd.read_parquet(learned / "predictions-val.parquet"))
    assert f"is above {expected:g};" in output
    ours = (learned / "predictions-test.parquet").read_bytes()
    assert main([*command, "--protocol", "deepfakebench"]) == 0
    output = capsys.readouterr().out
    assert "DeepfakeBench protocol" in output and "Difference" in output
    assert (learned / "predictions-test.parquet").read_bytes() == ours
    predictions = pd.read_parquet(learned / "predictions-test-deepfakebench.parquet")
    lengths = load_prepared(Path(load_model(learned).facts.config.data.work)).videos.set_index("video_id")
    for video_id, own in predictions.groupby("video_id"):
        spaced = np.linspace(0, lengths.at[video_id, "frames_decoded"] - 1, 32, dtype=int)
        assert own["frame"].tolist() == spaced.tolist()
    _check_benchmark_crop(learned, predictions.iloc[5])
    # the two methods' fakes of a pair have one file name: four fakes and two originals become four videos
    assert predictions["video_id"].nunique() == 6
    (learned / "predictions-val.parquet").rename(learned / "kept.parquet")
    try:
        assert main([*command, "--threshold", "validation"]) == 2
        assert "no validation predictions" in capsys.readouterr().err
    finally:
        (learned / "kept.parquet").rename(learned / "predictions-val.parquet")
    assert main([*command, "--threshold", "validation", "--checkpoint", "last"]) == 2
    assert "is not of the checkpoint last" in capsys.readouterr().err


def _check_benchmark_crop(run: Path, row: pd.Series) -> None:
    """The logit again by hand: to 256 pixels first, as the benchmark stores its crops."""
    from torchvision.transforms.functional import resize, to_pil_image

    model = load_model(run)
    crop = load_prepared(Path(model.facts.config.data.work)).read_crop(row.video_id, int(row.frame))
    image = np.asarray(resize(resize(to_pil_image(crop), [256, 256]), [32, 32]), np.float32) / 127.5 - 1
    with torch.no_grad():
        logit = model.detector.network(torch.from_numpy(image).permute(2, 0, 1)[None]).item()
    assert logit == pytest.approx(row.logit, abs=0.02)


def test_report_and_compare_are_commands(learned, tmp_path, capsys):
    assert main(["report", str(learned)]) == 0
    assert (learned / "report.html").is_file()
    out = tmp_path / "comparison"
    assert main(["compare", str(learned), "--out", str(out), "--reference", "thesis"]) == 0
    assert str(out / "compare.html") in capsys.readouterr().out and (out / "compare.html").is_file()


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
