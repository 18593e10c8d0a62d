"""What validation videos teach: one deployed score, its competence, and how a face's frames are taken together."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dfd_train.calibration.learned import calibrate, from_probabilities
from dfd_train.calibration.scales import Scale
from dfd_train.calibration.score import DeployedScore
from dfd_train.calibration.stretches import STRETCH, mean_value, worst_stretch
from dfd_train.metrics import summarize
from dfd_train.metrics.scores import sigmoid


def validation(people: int, gap: float, frames: int = 12, noise: float = 0.5, seed: int = 0) -> pd.DataFrame:
    """A real and a fake video of each person, `gap` apart on the logit scale."""
    random = np.random.default_rng(seed)
    label = np.tile([0, 1], people)
    mean = random.normal(0, 1, 2 * people) + gap * (label - 0.5)
    video = np.repeat(np.arange(2 * people), frames)
    return pd.DataFrame(
        {
            "video_id": [f"v{i}" for i in video],
            "dataset": "d",
            "target_id": (video // 2).astype(str),
            "label": label[video],
            "frame": np.tile(np.arange(frames) * 20, 2 * people),
            "logit": mean[video] + random.normal(0, noise, len(video)),
        }
    )


def test_evaluate_and_predict_rank_alike() -> None:
    """The mean of sigmoids orders videos; whatever the scale, the deployed score orders them so."""
    table = validation(40, 2.0, noise=3.0)
    calibration = calibrate(table.assign(logit=4 * table["logit"] + 3), "x")
    shown = table.assign(logit=4 * table["logit"] + 3)
    videos = calibration.score.videos(shown)
    assert calibration.score.over == "all frames"
    assert roc_auc_score(videos["label"], videos["value"]) == pytest.approx(summarize(shown).video_auc)
    assert calibration.competence.auc == pytest.approx(summarize(shown).video_auc)


def test_values_do_not_saturate_in_float32_predictions() -> None:
    logit = np.array([40.0, 50.0, 60.0, 50.5], np.float32)
    table = pd.DataFrame({"video_id": list("abcd"), "label": [0, 1, 1, 0], "logit": logit})
    videos = DeployedScore().videos(table)
    assert (sigmoid(videos["value"].to_numpy()) == 1.0).all()
    assert videos["value"].to_numpy() == pytest.approx([40, 50, 60, 50.5])
    assert mean_value(np.array([-50.0, 45.0])) == pytest.approx(
        0.0, abs=1e-9
    )  # the mean of 0 and 1 is one half
    assert summarize(table).video_auc == 0.75


def test_a_video_s_value_is_that_of_its_highest_face_that_counts() -> None:
    frame = [0, 1, 2, 3, 0, 1, 2, 3, 2]
    table = pd.DataFrame(
        {
            "video_id": "v",
            "label": 1,
            "frame": frame,
            "face": [0] * 4 + [1] * 4 + [2],
            "logit": [-2.0] * 4 + [1.0] * 4 + [9.0],  # the third in one frame only
        }
    )
    (row,) = DeployedScore().videos(table).itertuples()
    assert (row.value, row.faces, row.length) == (pytest.approx(1.0), 2, 4)
    (alone,) = DeployedScore().videos(table[table["face"] == 2]).itertuples()
    assert alone.value == pytest.approx(9.0)  # one frame is all there is


def test_the_worst_stretch_is_found_and_goes_on_as_long_as_it_lasts() -> None:
    logit = np.full(40, -4.0)
    logit[11:20] = 5.0
    found = worst_stretch(logit)
    assert found.last - found.first + 1 == STRETCH and found.value == pytest.approx(5.0)
    longer = worst_stretch(logit, line=0.0)
    assert (longer.first, longer.last) == (11, 19) and longer.value == pytest.approx(5.0)
    short = worst_stretch(np.array([1.0, 3.0]))
    assert (short.first, short.last) == (0, 1)


def test_validation_decides_what_a_face_s_frames_are_taken_over() -> None:
    """Steady frames: a fake third stands out by its stretch. Frames that jump about: only all of them tell."""
    assert calibrate(validation(60, 3.0, noise=0.3), "x").score.over == "worst stretch"
    assert calibrate(validation(60, 2.0, noise=9.0), "x").score.over == "all frames"


@pytest.mark.parametrize("gap", [0.0, -3.0])
def test_without_competence_nothing_is_allowed(gap) -> None:
    calibration = calibrate(validation(60, gap), "x")
    assert "told real from fake too badly" in calibration.lacking()
    assert calibrate(validation(60, 4.0), "x").lacking() == ""


def test_few_people_give_no_verdict_however_many_videos() -> None:
    table = validation(60, 6.0)
    of_four = table.assign(target_id=(table["target_id"].astype(int) % 4).astype(str))
    assert "how often it is wrong: 4 real and 4 faked" in calibrate(of_four, "x").lacking()


def test_a_failed_calibration_is_said() -> None:
    calibration = calibrate(validation(60, -3.0), "x")
    assert calibration.failed and math.isfinite(calibration.threshold)


def test_one_person_s_looks_are_counted() -> None:
    calibration = calibrate(validation(60, 3.0, noise=0.3), "x")
    assert (calibration.score.over, calibration.frames) == ("worst stretch", 12)
    assert calibration.looks([12, 3]) == 2 and calibration.looks([60, 13]) == 7
    mean = calibrate(validation(60, 2.0, noise=9.0), "x")
    assert mean.looks([60, 13]) == 2 and mean.stretch_looks([60, 13]) == 7


def test_calibrations_of_before_mean_what_they_meant() -> None:
    """A temperature divided each frame's logit before the mean, and the threshold was one of that mean."""
    real, fake = tuple(np.linspace(0.01, 0.5, 40)), tuple(np.linspace(0.4, 0.99, 40))
    old = from_probabilities("x", 2.5, 0.45, (40, 40), real, fake)
    logit = np.array([-3.0, 8.0, 1.0])
    assert old.score.prob(old.score.value(logit)) == pytest.approx(sigmoid(logit / 2.5).mean())
    assert old.score.frame_probs(logit) == pytest.approx(sigmoid(logit / 2.5))
    assert old.threshold == pytest.approx(0.45) and old.lacking() == ""
    assert old.shares_above(math.log(0.6 / 0.4))[0] == 0.0
    certain = from_probabilities("x", 1.0, 0.0, (30, 30), (0.0,) * 30, (1.0,) * 30)
    assert math.isfinite(certain.threshold)


def test_a_scale_is_monotone() -> None:
    at = np.linspace(-80, 80, 2001)
    for scale in (Scale(), Scale("platt", 0.3, -2.0), Scale("isotonic", knots=((-1.0, 0.1), (2.0, 0.9)))):
        assert (np.diff(scale.probs(at)) >= 0).all()
