"""Calibration: temperatures that are known beforehand, thresholds by hand, files that are kept and go stale."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import prediction
import pytest

from dfd_train.calibration.kept import FILE, read_calibration, run_calibration
from dfd_train.calibration.learned import calibrate
from dfd_train.cli import main
from dfd_train.engine.validation import validate_models
from dfd_train.errors import UserError
from dfd_train.metrics.scores import sigmoid
from dfd_train.predict.loading import load_scorer
from dfd_train.runs.folder import RunFolder
from ffpp_prep.format.files import sha256_of


def predictions(logit: np.ndarray, label: np.ndarray, frames: int = 1) -> pd.DataFrame:
    video = np.repeat(np.arange(len(logit)), frames)
    return pd.DataFrame({"video_id": [f"v{i}" for i in video], "label": label[video], "logit": logit[video]})


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, 4_000)  # log odds, symmetric: as many fakes as reals
    label = (random.random(honest.size) < sigmoid(honest)).astype(int)
    found = calibrate(predictions(honest * temperature, label), "x")
    assert found.temperature == pytest.approx(temperature, rel=0.05)


def test_rare_reals_weigh_as_much_as_many_fakes() -> None:
    random = np.random.default_rng(1)
    fakes, reals = (
        random.normal(4, 1, 300),
        random.normal(0.5, 2, 300),
    )  # of the two, reals want a higher temperature
    found = [
        calibrate(
            predictions(
                np.concatenate([np.tile(fakes, times), reals]), np.repeat([1, 0], [300 * times, 300])
            ),
            "x",
        ).temperature
        for times in (1, 20)
    ]
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_a_separated_set_stays_uncertain() -> None:
    logit, label = np.array([-30.0, -25.0, -20.0, 20.0, 25.0, 30.0]), np.array([0, 0, 0, 1, 1, 1])
    found = calibrate(predictions(logit, label, frames=3), "x")
    # Platt's target of a class of three is (3 + 1) / (3 + 2) = 0.8
    fake, real = (found.score.probs(np.array(own.values)).mean() for own in (found.fakes, found.reals))
    assert (fake, real) == pytest.approx((0.8, 0.2), abs=0.05)
    assert found.threshold == 0.5
    assert (found.videos_real, found.videos_fake) == (3, 3)


def test_threshold_and_shares_by_hand() -> None:
    logit = np.array([-1.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    label = np.array([0, 0, 0, 1, 1, 1])
    found = calibrate(predictions(logit, label), "x")
    probs = sigmoid(logit / found.temperature)
    assert found.threshold == found.plain_threshold == pytest.approx(sigmoid(1.5 / found.temperature))
    assert found.reals.values == (-1.0, 0.5, 1.0)
    assert found.score.probs(np.array(found.reals.values)) == pytest.approx(probs[:3])
    assert found.shares_above(0.5) == pytest.approx((2 / 3, 1.0))
    assert found.shares_above(3.0) == pytest.approx((0.0, 2 / 3))


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="one class only"):
        calibrate(predictions(np.array([1.0, 2.0]), np.array([1, 1])), "x")


def test_a_runs_calibration_is_kept_until_its_checkpoint_changes(run_command, tmp_path) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    folder = RunFolder(run)
    expected = calibrate(pd.read_parquet(folder.predictions("val")), sha256_of(folder.best))
    assert run_calibration(run) == expected == read_calibration(run)

    # what is damaged is learned again, and kept again by what may write
    text = (run / FILE).read_text().replace(f'"videos_real": {expected.videos_real}', '"videos_real": 77')
    (run / FILE).write_text(text)
    assert run_calibration(run) == expected
    assert (run / FILE).read_text() == text
    validate_models([run])
    assert read_calibration(run) == expected

    # as long as the checkpoint is the same the file is believed; one of before there were checksums, too
    (run / FILE).write_text("".join(line for line in text.splitlines(True) if "crc32" not in line))
    kept = run_calibration(run)
    assert kept is not None and kept.videos_real == 77

    # another checkpoint: neither this file nor the predictions count, the validation set is scored anew
    with folder.best.open("ab") as file:
        file.write(b"\0")
    folder.predictions("val").unlink()
    assert run_calibration(run) is None
    validate_models([run], "cpu", prediction.TRUST)
    anew = read_calibration(run)
    assert anew is not None and anew.videos_real == expected.videos_real
    assert anew.checkpoint_sha256 == sha256_of(folder.best) != expected.checkpoint_sha256
    assert anew.temperature == pytest.approx(expected.temperature)


def test_a_calibration_of_before_is_told_and_learned_anew_on_request(
    run_command, tmp_path, caplog, capsys
) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    expected = read_calibration(run)
    assert expected is not None
    of_before = {"checkpoint_sha256": expected.checkpoint_sha256, "temperature": 2.0, "threshold": 0.5}
    of_before |= {"videos_real": 2, "videos_fake": 2, "real": [0.1, 0.3], "fake": [0.6, 0.8]}
    (run / FILE).write_text(json.dumps(of_before))
    caplog.clear()
    kept = run_calibration(run)
    assert kept is not None and kept.score.frame_temperature == 2.0  # nobody's scores change by themselves
    told = f"`dfd-train calibrate {run}` learns it again"
    assert caplog.text.count(told) == 1
    capsys.readouterr()
    assert main(["calibrate", str(run)]) == 0
    assert f"On {expected.videos_real} real and {expected.videos_fake} fake videos" in capsys.readouterr().out
    assert read_calibration(run) == expected
    caplog.clear()
    run_calibration(run)
    assert told not in caplog.text
    assert main(["calibrate", str(run), "--data", str(tmp_path)]) == 2
    assert "is a run, calibrated on its own validation videos" in capsys.readouterr().err
    RunFolder(run).predictions("val").unlink()  # then they are scored
    command = ["calibrate", str(run), "--device", "cpu", "--workers", "0"]
    assert main([*command, "--trust", *prediction.TRUST]) == 0
    anew = read_calibration(run)
    assert anew is not None and anew.threshold == pytest.approx(expected.threshold)


def test_without_its_validation_set_there_is_none(run_command, tmp_path, caplog) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    RunFolder(run).predictions("val").unlink()
    (run / FILE).unlink()
    prediction.lose_data(run)
    validate_models([run], "cpu", prediction.TRUST)
    assert "its validation split can't be scored: no such folder" in caplog.text
    assert run_calibration(run) is None
    assert "no calibration, so no verdicts: no validation predictions" in caplog.text


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_loading_a_model_neither_scores_nor_writes(run_command, tmp_path, caplog) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    expected = read_calibration(run)
    (run / FILE).unlink()
    for known in (True, False):
        before = contents(run)
        facts = load_scorer(run, "cpu", prediction.TRUST).facts
        assert contents(run) == before
        # what is at hand says how to read it; where nothing is, there is no threshold, and so no verdict
        assert facts.calibration == (expected if known else None)
        assert facts.threshold == (expected.threshold if expected and known else None)
        RunFolder(run).predictions("val").unlink(missing_ok=True)


def test_evaluating_keeps_the_calibration(run_command, tmp_path) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    expected = read_calibration(run)
    (run / FILE).unlink()
    assert main(["evaluate", str(run), "--split", "test", "--workers", "0"]) == 0
    assert read_calibration(run) == expected is not None


def test_models_that_can_not_be_loaded_are_not_scored_first(run_command, tmp_path) -> None:
    run = tmp_path / "run"
    assert main([*run_command, "--epochs", "1", "--out", str(run)]) == 0
    (run / FILE).unlink()
    RunFolder(run).predictions("val").unlink()
    with pytest.raises(UserError, match="wants to run the function"):
        validate_models([run], "cpu", trust=())
    assert not RunFolder(run).predictions("val").exists()


def test_methods_that_did_not_train_do_not_set_the_scale(run_command, tmp_path) -> None:
    run = tmp_path / "run"
    assert (
        main([*run_command, "--epochs", "1", "--exclude-methods", "NeuralTextures", "--out", str(run)]) == 0
    )
    without = run_calibration(run)
    (run / FILE).unlink()
    assert main(["evaluate", str(run), "--split", "val"]) == 0  # which scores every method
    every = pd.read_parquet(RunFolder(run).predictions("val"))
    assert "NeuralTextures" in set(every["method"])
    (run / FILE).unlink()
    with_all = run_calibration(run)
    assert without is not None and with_all is not None
    assert with_all.videos_fake == without.videos_fake < every.query("label == 1")["video_id"].nunique()
