"""A run on a small set: what it writes, that it learns, and how it is evaluated."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from records import settings_text

from dfd_train.calibration.kept import read_calibration
from dfd_train.cli import main
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.frames import evaluation_frames
from ffpp_prep.format.prepared import load_prepared

TRUST = ("tiny_networks:with_batch_norm",)  # what `learned` is


def epochs(run: Path) -> pd.DataFrame:
    lines = RunFolder(run).read_events()
    return pd.DataFrame([line for line in lines if line["event"] == "epoch"])


@pytest.fixture(scope="module")
def learned(small_set_writer, tmp_path_factory) -> Path:
    """A run long enough to tell the fakes' stripes."""
    folder = tmp_path_factory.mktemp("learned")
    work = small_set_writer(folder / "work", length=60, demonstration=True).work
    arguments = ["--model", *TRUST, "--input-size", "32", "--batch-size", "6"]
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
    assert load_model(learned, trust=TRUST).facts.epoch == best
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
    assert [file.name for file in learned.rglob(".*")] == [".lock"]  # no temporary file is left


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
    columns = ["video_id", "dataset", "compression", "method", "split"]
    columns += ["original_id", "source_id", "target_id"]
    columns += ["face", "frame", "label", "logit", "video_value", "video_score"]
    assert predictions.columns.tolist() == columns
    calibration = read_calibration(learned)
    assert calibration is not None
    videos = calibration.score.videos(predictions).set_index("video_id")
    assert (predictions["video_score"].to_numpy() == videos["prob"][predictions["video_id"]].to_numpy()).all()
    types = {"face": "int8", "frame": "int32", "label": "int8", "logit": "float32"}
    assert {name: str(predictions[name].dtype) for name in types} == types
    metadata = pq.read_schema(path).metadata
    assert metadata[b"demonstration"] == b"true" and metadata[b"frames_per_video"] == b"12"
    assert metadata[b"checkpoint_sha256"].decode() == sha256_of(learned / "checkpoints/best.pt")
    assert (learned / "predictions.parquet").read_bytes() == path.read_bytes()
    titles = ("Each method against the originals", "All measures", "Results by manipulation method")
    places = [output.index(title) for title in (*titles, "Checkpoint: best", f"predictions: {path}")]
    assert places == sorted(places) and output.endswith(f"predictions: {path}\n")
    documented = (Path(__file__).parents[2] / "docs/format.md").read_text().partition("## Predictions")[2]
    rows = re.findall(r"^\| ([a-z_, ]+) \| (string|int|float)", documented, re.MULTILINE)
    assert [name for names, _ in rows for name in names.split(", ")] == predictions.columns.tolist()
    facts = re.findall(r"^- `(\w+)`", documented, re.MULTILINE)
    assert {name.encode() for name in facts} == set(metadata) - {b"pandas", b"checksums"}
    data = json.loads((learned / "data.json").read_text())
    assert metadata[b"work"].decode() == str(Path(data["work"]).resolve())
    assert metadata[b"data_fingerprint"].decode() == data["fingerprint"]

    model = load_model(learned, trust=TRUST)

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
    assert (
        "No identity of the training and validation videos is in the 6 tested videos."
        in capsys.readouterr().out
    )
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
    line = "Identities of the training and validation videos in 3 of the 6 tested videos: ffpp/000."
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


def test_the_same_videos_with_other_faces_are_another_set(learned, small_set_writer, tmp_path, caplog):
    """Every K-th frame detected, boxes between are guesses: its crops are not those of the run."""
    other = small_set_writer(tmp_path / "guessed", length=60, demonstration=True, detection={"every": 8}).work
    run = Path(shutil.copytree(learned, tmp_path / "run"))
    evaluate = ["evaluate", str(run), "--frames", "1", "--workers", "0"]
    assert main(evaluate) == 0 and "changed since" not in caplog.text
    before = (run / "predictions-test.parquet").read_bytes()
    assert main([*evaluate, "--data", str(other)]) == 0
    assert (run / "predictions-test-on-guessed.parquet").is_file()
    assert (run / "predictions-test.parquet").read_bytes() == before
    said = [line for line in caplog.messages if "faces were detected" in line]
    assert said == ["faces were detected with every 8 here, 1 in training"]


def test_a_set_without_splits_is_scored_whole(learned, small_set_writer, tmp_path, capsys, caplog):
    """As a folder of one's own, or a data set whose layout divides nothing; the threshold is the run's own."""
    other = small_set_writer(tmp_path / "folder", edit=lambda table: table.assign(split=None)).work
    evaluate = ["evaluate", str(learned), "--frames", "1", "--workers", "0"]
    capsys.readouterr()
    assert main([*evaluate, "--data", str(other)]) == 2
    message = "has no video in split 'test' (21 in no split): --split all scores every video"
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
    config = settings_text(run)
    (run / "config.toml").write_text(config.replace("epochs = 25", "epochs = 30"))
    best = load_model(learned, trust=TRUST).facts.epoch
    capsys.readouterr()
    evaluate = ["evaluate", "--frames", "1", "--workers", "0"]
    assert main([*evaluate, str(learned)]) == 0
    assert f"Checkpoint: best, of epoch {best}.\n" in capsys.readouterr().out
    assert main([*evaluate, str(learned), str(run)]) == 0  # one after another
    output = capsys.readouterr().out
    for folder in (learned, run):
        assert f"{folder}\n\n" in output and f"predictions: {folder / 'predictions-test.parquet'}\n" in output
    assert main([*evaluate, str(run), str(tmp_path / "none")]) == 2  # before any is scored
    written = capsys.readouterr()
    assert "none is no run folder" in written.err and not written.out
    assert main([*evaluate, str(run), "--checkpoint", "last"]) == 0
    line = "Checkpoint: last, of epoch 25; the run is unfinished, stopped at epoch 25 of 30.\n"
    assert line in capsys.readouterr().out
    metadata = pq.read_schema(run / "predictions-test.parquet").metadata
    assert metadata[b"checkpoint"] == b"last" and metadata[b"checkpoint_epoch"] == b"25"
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "Last checkpoint, epoch 25; stopped at epoch 25 of 30." in page
    assert f"Best checkpoint, epoch {best}; stopped at epoch 25 of 30." in page  # training's own validation


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
    for name in (
        "predictions-test.parquet",
        "predictions.parquet",
    ):  # the own test split's, whatever came after
        assert (learned / name).read_bytes() == ours
    assert output.index("Overall") < output.index("DeepfakeBench protocol")
    predictions = pd.read_parquet(learned / "predictions-test-deepfakebench.parquet")
    lengths = load_prepared(Path(load_model(learned, trust=TRUST).facts.config.data.work)).videos.set_index(
        "video_id"
    )
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

    model = load_model(run, trust=TRUST)
    crop = load_prepared(Path(model.facts.config.data.work)).read_crop(row.video_id, int(row.frame))
    image = np.asarray(resize(resize(to_pil_image(crop), [256, 256]), [32, 32]), np.float32) / 127.5 - 1
    with torch.no_grad():
        logit = model.detector.network(torch.from_numpy(image).permute(2, 0, 1)[None]).item()
    assert logit == pytest.approx(row.logit, abs=0.02)


def test_report_and_compare_are_commands(learned, tmp_path, capsys):
    assert main(["report", str(learned), "--hardest", "4"]) == 0
    assert (learned / "report.html").is_file()
    out = tmp_path / "comparison"
    assert main(["compare", str(learned), "--out", str(out), "--reference", "thesis", "--hardest", "3"]) == 0
    assert len(pd.read_csv(learned / "tables/val/hardest.csv")) == 4
    assert len(pd.read_csv(out / "tables/hardest-val.csv")) == 3
    assert str(out / "compare.html") in capsys.readouterr().out and (out / "compare.html").is_file()
