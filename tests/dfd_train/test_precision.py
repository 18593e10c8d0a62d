"""bf16 scores only where the processor has it and no validation video is decided otherwise; which stays on record."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import PIL.Image
import prediction
import pytest
import torch
from folders import folders_in

from dfd_train.calibration import kept
from dfd_train.calibration.card import DetectorCard
from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.precision import FILE, compare, kept_checks
from dfd_train.cli import main
from dfd_train.data.spec import InputSpec
from dfd_train.engine import precision
from dfd_train.errors import UserError
from dfd_train.explain.attribution import gradcam
from dfd_train.models import inference
from dfd_train.models.build import Detector
from dfd_train.models.inference import for_inference
from dfd_train.predict.loading import load_scorer
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions, write_predictions
from ffpp_prep.format.prepared import load_prepared
from reseption_models import create_model

BF16 = ("--precision", "bf16", "--device", "cpu")


def decide_at(run: Path, value: float) -> None:
    """The run's calibration with another threshold."""
    kept._write(run, replace(kept.learn_calibration(run), threshold_value=value))


@pytest.fixture
def run(small_reseption_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy with a threshold that all videos are above, on a processor that has bf16 (any computes it, if slowly)."""
    monkeypatch.setattr(inference, "processor_flags", lambda: {"amx_bf16"})
    copy = tmp_path / "run"
    shutil.copytree(small_reseption_run, copy)
    decide_at(copy, -100.0)
    return copy


def test_what_is_compared() -> None:
    rng = np.random.default_rng(0)
    videos = pd.DataFrame({"video_id": list("abcdef"), "label": [0, 0, 0, 1, 1, 1]})
    before = videos.loc[videos.index.repeat(4)].reset_index(drop=True)
    before = before.assign(frame=list(range(4)) * 6, face=0, logit=np.float32(2) * before["label"] - 1.0)
    before["logit"] += rng.normal(0, 0.05, len(before)).astype(np.float32)
    known = replace(kept.calibrate(before, "0" * 64), threshold_value=0.0)
    now = before.sample(frac=1, random_state=0)
    same = compare(before, now, known, "bf16", "cpu")
    assert (same.videos, same.changed, same.deviation, same.auc, same.auc_before) == (6, 0, 0.0, 1.0, 1.0)
    now = now.assign(logit=now["logit"].where(now["video_id"] != "d", -3.0))
    other = compare(before, now, known, "bf16", "cpu")
    assert (other.changed, other.auc) == (1, pytest.approx(2 / 3)) and other.deviation > 3.5
    with pytest.raises(UserError, match="of 24 crops, of which the prepared set gives 20"):
        compare(before, now[now["video_id"] != "a"], known, "bf16", "cpu")


def test_evaluate_compares_once_and_leaves_the_numbers_of_fp32(run, capsys, monkeypatch) -> None:
    command = ["evaluate", str(run), "--workers", "0", "--device", "cpu"]
    assert main(command) == 0
    before = (run / "predictions-test.parquet").read_bytes()
    assert main([*command, "--precision", "bf16"]) == 0
    (check,) = kept_checks(run)
    assert (check.precision, check.device, check.changed) == ("bf16", "cpu", 0) and 0 < check.deviation < 0.5
    assert f"Scored in {check.sentence()}." in capsys.readouterr().out
    assert (run / "predictions-test.parquet").read_bytes() == before
    tables = [pd.read_parquet(folder / "predictions-test.parquet") for folder in (run, run / "bf16")]
    apart = (tables[0]["logit"] - tables[1]["logit"]).abs()
    assert 0 < apart.max() < 0.5
    monkeypatch.setattr(precision, "score_videos", lambda *_, **__: pytest.fail("compared twice"))
    assert main([*command, "--precision", "bf16"]) == 0
    decide_at(run, -50.0)  # another calibration, other decisions
    assert kept_checks(run) == ()


def test_other_decisions_are_refused_and_remembered(run, capsys) -> None:
    path = run / "predictions-val.parquet"
    table, facts = read_predictions(path)
    write_predictions(path, table.assign(logit=table["logit"] + 200), facts)
    decide_at(run, 100.0)
    for _ in range(2):
        assert main(["robustness", str(run), "--only", "gamma", *BF16]) == 2
        error = capsys.readouterr().err
        assert "precision is bf16: it decides 6 of 6 validation videos of" in error
        assert error.rstrip().endswith("otherwise than fp32; allowed: fp32")
    assert [one["changed"] for name, one in json.loads((run / FILE).read_text()).items() if " " in name] == [
        6
    ]


def test_predict_says_in_what_it_computed(run, tmp_path, monkeypatch) -> None:
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "face.png")
    out = tmp_path / "out"
    for more in ((), BF16):
        assert main(["predict", str(run), str(tmp_path / "face.png"), "--out", str(out), *more]) == 0
        (network,) = json.loads((out / "face.png/result.json").read_text())["evidence"]["networks"]
        page = (out / "face.png/report.html").read_text()
        if more:
            assert network["precision"] == "bf16" and "the processor (CPU), in 16-bit numbers (bf16)" in page
            assert network["checked"] == kept_checks(run)[0].sentence() and network["checked"] in page
        else:
            assert network["precision"] == "fp32" and not network["checked"]
            assert "the processor (CPU), in 32-bit numbers (fp32)" in page
    monkeypatch.setattr(inference, "processor_flags", lambda: {"avx512_bf16"})
    monkeypatch.setattr(
        inference, "bf16_gain", lambda: 0.6
    )  # which matters to speed, not to what a report says
    again = ["--file", str(tmp_path / "face.png"), "--again", str(run), "--device", "cpu"]
    assert main(["verify-report", str(out / "face.png"), *again]) == 0  # in bf16, as the report says


def test_where_bf16_is_refused(run, tmp_path, capsys, monkeypatch) -> None:
    for model, said in (
        (run, "the validation videos of .* are not at hand to compare its decisions on"),
        (tmp_path / "weights", "no validation videos of .* are at hand"),
        (tmp_path / "model.onnx", "computes in fp32, as it was exported"),
    ):
        if model != run:
            assert main(["export", str(run), "--out", str(model)]) == 0
            with pytest.raises(UserError, match=said):
                load_scorer(model, "cpu", (), "bf16")
        else:
            (run / "predictions-val.parquet").rename(tmp_path / "kept")
            monkeypatch.setattr("dfd_train.engine.validation.evaluate", lambda *_: pytest.fail("no set"))
            with pytest.raises(UserError, match=said):
                precision.check_bf16(run, "cpu")
            (tmp_path / "kept").rename(run / "predictions-val.parquet")
    with pytest.raises(UserError, match="no validation videos"):  # loading scores nothing
        load_scorer(run, "cpu", (), "bf16")
    monkeypatch.setattr(inference, "processor_flags", lambda: {"sse2", "avx2"})
    capsys.readouterr()
    assert main(["predict", str(run), str(run / "config.toml"), *BF16]) == 2
    assert "precision is bf16: this processor (" in capsys.readouterr().err


@pytest.mark.parametrize(("gain", "status"), [(1.06, 2), (2.8, 0)])
def test_bf16_is_refused_where_the_processor_gains_nothing(run, capsys, monkeypatch, gain, status) -> None:
    command = ["evaluate", str(run), "--workers", "0", *BF16]
    monkeypatch.setattr(inference, "bf16_gain", lambda: gain)
    monkeypatch.setattr(inference, "processor_flags", lambda: {"avx512_bf16"})
    assert main(command) == status
    said = "has it but gains nothing by it, a convolution is 1.1 times as fast as in fp32; allowed: fp32"
    assert (said in capsys.readouterr().err) == bool(status)


def test_a_processor_s_gain_is_fp32_s_time_over_that_of_bf16(monkeypatch) -> None:
    """The least of each form's times counts, and the first turn is not one of them."""
    turns = {torch.float32: iter([0.1, 5, 3, 4, 6, 9]), torch.bfloat16: iter([0.1, 2, 2, 1.5, 7, 8])}
    monkeypatch.setattr(inference, "_seconds", lambda layer, images: next(turns[images.dtype]))
    assert inference.bf16_gain.__wrapped__() == 3 / 1.5


def test_an_export_takes_the_comparison_along(run, tmp_path) -> None:
    check = precision.check_bf16(run, "cpu")
    assert main(["export", str(run), "--out", str(tmp_path / "weights")]) == 0
    scorer = load_scorer(tmp_path / "weights", "cpu", (), "bf16")
    assert (scorer.facts.precision, scorer.facts.checked) == ("bf16", check.sentence())
    crops = list(np.random.default_rng(0).integers(0, 255, (3, 75, 75, 3), np.uint8))
    np.testing.assert_array_equal(scorer.logits(crops), load_scorer(run, "cpu", (), "bf16").logits(crops))


def test_grad_cam_of_an_ensemble_in_bf16_sums_its_members() -> None:
    torch.manual_seed(0)
    network = create_model("reseption_ensemble_tiny")
    detector = Detector(network, InputSpec(network.config.input_size))
    crop = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    maps = [
        gradcam(for_inference(detector, precision=bits).detector, crop, device=torch.device("cpu")).values
        for bits in ("fp32", "bf16")
    ]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.9


def test_a_record_says_what_it_holds() -> None:
    check = PrecisionCheck("bf16", "cpu", "0" * 64, 0.0, 140, 2, 0.8069, 0.8076, 0.081)
    assert check.sentence() == (
        "bf16 on 140 validation videos: 2 decided otherwise, AUC 0.8076 → 0.8069, a logit deviates by up to 0.081"
    )


def card_in(path: Path) -> DetectorCard:
    meta = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_modelmeta()
    return DetectorCard.from_json(meta.custom_metadata_map["dfd_train"])


def test_int8_prints_what_it_changes_and_takes_the_card_along(run, tmp_path, capsys) -> None:
    for name, more in (("fp32.onnx", ()), ("int8.onnx", ("--int8",))):
        assert main(["export", str(run), "--out", str(tmp_path / name), *more]) == 0
    said = capsys.readouterr().out
    cards = [card_in(tmp_path / name) for name in ("fp32.onnx", "int8.onnx")]
    (check,) = cards[1].checks
    assert (check.precision, check.videos) == ("int8", 6) and f"{check.sentence()}." in said
    assert check.sentence().startswith("int8 on 6 validation videos: ") and "AUC " in check.sentence()
    assert cards[1] == replace(cards[0], precision="int8", checks=(check,))
    assert folders_in((tmp_path / "int8.onnx").read_bytes(), run, tmp_path) == []
    scorer = load_scorer(tmp_path / "int8.onnx")
    assert (scorer.facts.precision, scorer.facts.checked) == ("int8", check.sentence())
    val = pd.read_parquet(run / "predictions-val.parquet")
    work = load_prepared(RunFolder(run).work())
    rows = dict(zip(work.videos["video_id"], work.videos.index, strict=True))
    crops = [work.read_crop_at(rows[one.video_id], one.frame, one.face) for one in val.itertuples()]
    apart = np.abs(scorer.logits(crops) - val["logit"].to_numpy())
    assert apart.max() == pytest.approx(check.deviation, rel=1e-3) and apart.max() > 1e-4
    assert main(["export", str(run), "--out", str(tmp_path / "folder"), "--int8"]) == 2
    assert "allowed with --int8: FILE.onnx" in capsys.readouterr().err
