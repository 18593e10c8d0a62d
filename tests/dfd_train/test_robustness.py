"""`dfd-train robustness`: crops really suffer what the curve says, and a stopped command goes on."""

import re
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import prediction
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dfd_train.calibration.kept import read_calibration
from dfd_train.cli import main
from dfd_train.data.degradation import Corruption, degrade, reseeded
from dfd_train.data.fitting import normalize, resize
from dfd_train.metrics.paired import difference, judged_videos
from dfd_train.robustness.conditions import FAITHFUL, SWEEPS, choose_sweeps
from dfd_train.runs.checkpoint import load_model
from ffpp_prep.format.prepared import load_prepared


@pytest.fixture(scope="module")
def work(tmp_path_factory, small_set_writer) -> Path:
    return small_set_writer(tmp_path_factory.mktemp("sample") / "work", demonstration=True).work


@pytest.fixture(scope="module")
def run(tmp_path_factory, work) -> Path:
    out = tmp_path_factory.mktemp("runs") / "tiny"
    command = ["run", "--data", str(work), "--model", "tiny_networks:with_batch_norm", "--input-size", "32"]
    command += ["--batch-size", "6", "--workers", "0", "--epochs", "2", "--device", "cpu", "--threads", "1"]
    assert main([*command, "--out", str(out)]) == 0
    return out


def test_each_sweep_can_be_asked_for_and_done(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["robustness", "--help"])
    help_ = " ".join(capsys.readouterr().out.split())
    assert [
        sweep.name for sweep in (*SWEEPS, *FAITHFUL) if not re.search(rf"[ ,]{sweep.name}[,;]", help_)
    ] == []
    crop = np.full((40, 40, 3), 100, np.uint8)
    crop[:, ::3] = 200
    for sweep in SWEEPS:
        for condition in sweep.conditions():
            assert degrade(crop, condition.corruptions).shape == crop.shape


def command(run: Path, out: Path, *more: str) -> list[str]:
    return ["robustness", str(run), "--out", str(out), "--workers", "0", "--device", "cpu", *more]


def test_gamma_and_noise():
    crop = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    expected = np.round(255 * (crop / 255.0) ** 1.7)
    assert np.array_equal(degrade(crop, (Corruption("gamma", 1.7, 0),)), expected)
    noise = (Corruption("noise", 10.0, 0),)
    first, second = (degrade(crop, reseeded(noise, 3, frame)) for frame in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, degrade(crop, reseeded(noise, 3, 1)))


def test_every_sweep_has_a_place_without_change_or_says_its_levels():
    for sweep in SWEEPS:
        conditions = sweep.conditions()
        assert len({c.level for c in conditions}) == len(conditions), sweep.name
        assert sum(not c.changes for c in conditions) == (sweep.name not in ("frames", "margin"))
    assert [sweep.name for sweep in choose_sweeps(["jpeg", "crf"])] == ["crf", "jpeg"]


def test_crops_suffer_what_the_curve_says(run, work, tmp_path, capsys, caplog):
    asked = command(run, tmp_path / "out", "--only", "jpeg,frames,margin", "--frames", "2")
    assert main([*asked, "--dry-run"]) == 0 and not (run / "robustness").exists()
    (before,) = (line for line in capsys.readouterr().out.splitlines() if "nothing was written" in line)
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert main([*asked, "--dry-run"]) == 0
    (after,) = (line for line in capsys.readouterr().out.splitlines() if "nothing was written" in line)
    (left, every), (none, same) = (re.findall(r"\d+", line) for line in (before, after))
    assert left == every == same and none == "0"
    # the small set's videos are nowhere: other margins cannot be cut
    assert "no sweep over the crop margin" in caplog.text
    folder = run / "robustness" / "test"
    assert not list(folder.glob("margin*")) and len(list(folder.glob("jpeg-*.parquet"))) == 6
    predictions = pd.read_parquet(folder / "jpeg-40.parquet")
    model, prepared = load_model(run, trust=prediction.TRUST), load_prepared(work)
    spec = model.detector.spec
    for row in predictions.iloc[::5].itertuples():
        crop = prepared.read_crop(row.video_id, row.frame)
        suffered = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(crop, level=40, subsampling="420"))
        with torch.inference_mode():
            logit = model.detector.network(normalize(resize(suffered, spec.size), spec)[None]).item()
        assert row.logit == pytest.approx(logit, abs=1e-4)
    assert pd.read_parquet(folder / "frames-8.parquet").groupby("video_id").size().eq(8).all()

    table = pd.read_csv(tmp_path / "out" / "robustness-table.csv")
    line = table[(table["Change"] == "JPEG quality") & (table["Level"] == "40")].iloc[0]
    prob = predictions.assign(prob=1 / (1 + np.exp(-predictions["logit"]))).groupby("video_id")["prob"].mean()
    label = predictions.groupby("video_id")["label"].first()
    assert line["tiny AUC"] == pytest.approx(roc_auc_score(label, prob))
    assert line["tiny accuracy"] == pytest.approx(((prob > 0.5) == label).mean())
    page = (tmp_path / "out" / "robustness.html").read_text()
    assert "<svg" in page and "Demonstration model, not evidence" in page
    assert "demonstration model, not evidence" in shown and "robustness.html" in shown
    # what is printed is what was written: no rows of a sweep that was left out
    assert (tmp_path / "out" / "robustness-table.txt").read_text() in shown and "margin" not in shown
    apart = pd.read_csv(tmp_path / "out" / "robustness-differences.csv")
    assert apart.columns.is_unique and {"Difference low", "Difference high"} <= set(apart.columns)
    row = apart[
        (apart["Change"] == "JPEG quality") & (apart["Level"] == 40) & (apart["Measure"] == "Video AUC")
    ].iloc[0]
    clean = pd.read_parquet(folder / "unchanged.parquet")
    gap = difference(judged_videos(predictions), judged_videos(clean), "video_auc")
    assert row["Difference"] == pytest.approx(gap.value) and row["Videos"] == label.size
    assert row["Changed"] == pytest.approx(roc_auc_score(label, prob))
    # the same of the score that predict and serve show, which has another scale and another threshold
    score = read_calibration(run).score
    for measure, table in (("Changed", predictions), ("Clean", clean)):
        videos = score.videos(table)
        rows = apart[(apart["Change"] == "JPEG quality") & (apart["Level"] == 40)].set_index("Measure")[
            measure
        ]
        brier = ((videos["prob"] - videos["label"]) ** 2).mean()
        assert rows["Deployed score: Brier score"] == pytest.approx(brier)
        assert rows["Deployed score: AUC"] == pytest.approx(roc_auc_score(videos["label"], videos["value"]))
        called = videos["value"] > read_calibration(run).threshold_value
        right = (called == (videos["label"] == 1)).groupby(videos["label"]).mean().mean()
        assert rows["Deployed score: balanced accuracy"] == pytest.approx(right)


def test_a_stopped_command_goes_on_and_changed_settings_begin_anew(run, tmp_path):
    arguments = command(run, tmp_path / "out", "--only", "blur", "--split", "val", "--frames", "2")
    assert main(arguments) == 0
    folder = run / "robustness" / "val"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "blur-2.parquet").unlink()
    (folder / "blur-3.parquet").write_bytes(b"PAR1 cut short")
    assert main(arguments) == 0
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert set(after) == set(before) and changed == {"blur-2.parquet", "blur-3.parquet"}
    assert main([*arguments[:-1], "3"]) == 0
    assert all(path.stat().st_mtime_ns != after[path.name] for path in folder.iterdir())


def test_all_videos_of_a_set_without_splits(run, small_set_writer, tmp_path, capsys, caplog):
    other = small_set_writer(tmp_path / "folder", edit=lambda table: table.assign(split=None)).work
    arguments = command(run, tmp_path / "out", "--only", "frames", "--frames", "1")
    assert main([*arguments, "--data", str(other)]) == 2
    assert "(21 in no split): --split all scores every video" in capsys.readouterr().err
    assert main([*arguments, "--data", str(other), "--split", "all"]) == 0
    for path in (run / "robustness" / "all").glob("*.parquet"):
        assert pd.read_parquet(path)["video_id"].nunique() == 21
    assert "Robustness, all" in capsys.readouterr().out and "trained the model" not in caplog.text
    assert main([*arguments, "--split", "all"]) == 0
    assert "15 of these videos trained the model or chose its checkpoint" in caplog.text


def test_several_runs_and_mistakes(run, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.toml", "checkpoints/best.pt"):
        (other / name).parent.mkdir(exist_ok=True)
        (other / name).write_bytes((run / name).read_bytes())
    arguments = command(run, tmp_path / "out", "--only", "gamma", "--frames", "1")
    assert main([*arguments[:2], str(other), *arguments[2:]]) == 0
    table = pd.read_csv(tmp_path / "out" / "robustness-table.csv")
    assert table["tiny AUC"].tolist() == table["other AUC"].tolist() and len(table) == 7
    figure = (tmp_path / "out" / "robustness.svg").read_text()
    assert all(
        f">{name}<" in figure for name in ("tiny", "other", "Accuracy", "Balanced accuracy", "Video AUC")
    )
    capsys.readouterr()
    assert main(command(run, tmp_path / "out", "--only", "fog")) == 2
    assert "unknown sweep 'fog'; allowed: crf, downscale" in capsys.readouterr().err
    assert main(command(run, tmp_path / "none", "--only", "margin", "--frames", "1")) == 2
    assert "no sweep left: another crop margin needs the videos; " in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    twice = command(run, tmp_path / "none", "--only", "gamma")
    assert main([*twice[:2], str(run), *twice[2:]]) == 2
    assert "stands twice among the runs" in capsys.readouterr().err
    assert main(command(run, tmp_path / "out", "--data", str(tmp_path / "gone"))) == 2
    assert "if the prepared set is elsewhere: --data WORK" in capsys.readouterr().err
    assert main(command(tmp_path / "none", tmp_path / "out")) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_another_margin_is_cut_from_the_video(work):
    prepared = load_prepared(work)
    wider = prepared.with_margin(0.8)
    assert wider.geometry == replace(prepared.geometry, margin=0.8)
    assert prepared.geometry.margin == 0.3 and not wider.is_stored(0, 0) and prepared.is_stored(0, 0)
