"""What an older version wrote opens today, and gives what it gave then: README.md says how it was made."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clips import decode, encode, talking_head

from dfd_train.cli import main
from dfd_train.predict.loading import load_scorer
from ffpp_prep.cli import main as ffpp_prep
from ffpp_prep.format.prepared import load_prepared

OLD = Path(__file__).parent
NETWORK = "old_networks:small_reseption"
TRUSTED = ("--trust", NETWORK)


@pytest.fixture
def old(tmp_path, monkeypatch) -> Path:
    """A copy of all, at another place, as where a disk was copied; the user's function can be imported."""
    monkeypatch.syspath_prepend(str(OLD))
    for name in ("work", "run", "weights"):
        shutil.copytree(OLD / name, tmp_path / name)
    shutil.copy(OLD / "model.onnx", tmp_path)
    return tmp_path


def logits_of(predictions: Path) -> pd.Series:
    return pd.read_parquet(predictions).set_index(["video_id", "frame", "face"])["logit"].sort_index()


def test_an_old_work_folder_is_shown_and_sound(old, capsys):
    assert ffpp_prep(["status", str(old / "work")]) == 0
    shown = capsys.readouterr().out
    assert "6 videos" in shown and "36 frames decoded" in shown and "36 crops" in shown
    assert ffpp_prep(["verify", str(old / "work")]) == 0
    assert "1 part with 36 boxes, 1 shard with 36 crops" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "told"), [("boxes", "nothing left to do; 6 done before"), ("extract", "0 shards, 0 crops")]
)
def test_the_stages_find_their_old_work_done(old, capsys, command, told):
    """Its videos are gone: what was done anew would fail."""
    size = ["--size", "24"] if command == "extract" else []
    assert ffpp_prep([command, str(old / "work"), *size]) == 0
    assert told in capsys.readouterr().out


def test_an_old_run_scores_as_it_did(old):
    scoring = ["--split", "test", "--frames", "4", "--device", "cpu", "--workers", "0"]
    assert main(["evaluate", str(old / "run"), "--data", str(old / "work"), *scoring, *TRUSTED]) == 0
    now, then = (logits_of(folder / "predictions-test.parquet") for folder in (old / "run", OLD / "run"))
    assert len(then) == 8
    pd.testing.assert_series_equal(now, then, atol=1e-4)


def test_an_old_run_and_its_exports_score_alike(old):
    prepared = load_prepared(old / "work")
    crops = [prepared.read_crop_at(row, frame) for row in prepared.videos.index for frame in (0, 5)]
    run, weights, onnx = (
        load_scorer(old / name, "cpu", (NETWORK,)) for name in ("run", "weights", "model.onnx")
    )
    assert np.ptp(run.logits(crops)) > 1e-4
    for other in (weights, onnx):
        np.testing.assert_allclose(other.logits(crops), run.logits(crops), atol=1e-4)
        assert other.facts.temperature == run.facts.temperature == 20.0
        assert other.facts.threshold == run.facts.threshold == 0.5


def test_an_old_run_and_its_exports_look_at_a_video(old):
    video = encode(old / "someone.mp4", decode(talking_head())[:3])
    run, weights, onnx = (str(old / name) for name in ("run", "weights", "model.onnx"))
    command = ["predict", run, str(video), "--with", weights, "--with", onnx, "--no-video", "--device", "cpu"]
    assert main([*command, "--out", str(old / "out"), *TRUSTED]) == 0
    assert len(pd.read_csv(next((old / "out").rglob("*.csv")))) > 0


def test_an_old_run_goes_on_as_it_would_have(old):
    command = ["run", "--config", str(old / "run/config.toml"), "--data", str(old / "work")]
    assert main([*command, "--out", str(old / "run"), *TRUSTED]) == 0
    now, then = (pd.read_csv(path).drop(columns=["seconds", "images_per_second"]) for path in (
        old / "run/epochs.csv", OLD / "resumed.csv"
    ))  # fmt: skip
    assert list(then["epoch"]) == [1, 2, 3]
    pd.testing.assert_frame_equal(now[list(then)], then, rtol=1e-3)


def test_an_old_run_is_reported(old):
    assert main(["report", str(old / "run")]) == 0
    assert "stripes" in (old / "run/report.html").read_text()
