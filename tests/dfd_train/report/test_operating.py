"""The Brier score with its parts, and fakes found at few false alarms, against scikit-learn and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from dfd_train.calibration.learned import calibrate, with_deployed_score
from dfd_train.metrics.operating import at_few_alarms, brier
from dfd_train.metrics.paired import judged_videos
from dfd_train.metrics.reliability import false_alarms, reliability, risk_coverage
from dfd_train.report.operating import deployed_tables, operating_table


def videos(reals: int, fakes: int, shift: float = 2.0, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = np.repeat([0, 1], [reals, fakes])
    logit = random.normal(0, 1.5, len(label)) + shift * (label - 0.5)
    return pd.DataFrame({"video_id": [f"{n}.mp4" for n in range(len(label))], "label": label, "logit": logit})


def test_brier_score_and_its_parts():
    table = videos(120, 200)
    found, prob = brier(judged_videos(table)), 1 / (1 + np.exp(-table["logit"]))
    assert found.score == pytest.approx(sk.brier_score_loss(table["label"], prob))
    assert found.interval.low < found.score < found.interval.high
    assert found.uncertainty == pytest.approx(120 * 200 / 320**2)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(found.score)
    by_bin = pd.DataFrame({"bin": (prob * 15).astype(int), "prob": prob, "label": table["label"]}).groupby(
        "bin"
    )
    gaps = by_bin["prob"].mean() - by_bin["label"].mean()
    assert found.reliability == pytest.approx((by_bin.size() * gaps**2).sum() / 320)
    shifted = brier(judged_videos(table.assign(logit=table["logit"] + 3)))
    assert shifted.reliability > 5 * found.reliability
    constant = brier(
        judged_videos(table.assign(logit=math.log(200 / 120)))
    )  # the share of fakes for all: calibrated, tells nothing
    assert (constant.reliability, constant.resolution) == pytest.approx((0, 0), abs=1e-12)


def test_no_brier_score_is_above_one():
    """Few people of whom some are quite wrong: on the scale of logarithms the interval would end above 1."""
    table = videos(6, 6)
    wrong = table.assign(logit=np.where(table.index % 2, 20.0, -20.0) * (1 - 2 * table["label"]))
    found = brier(judged_videos(wrong))
    assert 0 < found.interval.low < found.score < found.interval.high == 1.0


def test_fakes_found_at_few_alarms():
    table = videos(1000, 300)
    percent, thousandth = at_few_alarms(judged_videos(table))
    reals = np.sort(table.loc[table["label"] == 0, "logit"])[::-1]
    fakes = table.loc[table["label"] == 1, "logit"]
    assert percent.hits == pytest.approx((fakes > reals[10]).mean())  # ten of a thousand lie above
    assert thousandth.hits == pytest.approx((fakes > reals[1]).mean())
    assert 0 < thousandth.hits < percent.hits < 1


def test_too_few_reals_are_said():
    text = operating_table(videos(99, 50)).to_text()
    assert "Fakes found at 1 % false alarms: not resolvable with 99 real videos." in text
    assert "Fakes found at 0.1 % false alarms: not resolvable with 99 real videos." in text
    percent, thousandth = at_few_alarms(judged_videos(videos(100, 50)))
    assert percent.resolvable and percent.hits > 0 and math.isnan(thousandth.hits)
    for one_class in (videos(0, 20), videos(200, 0)):
        assert all(math.isnan(one.hits) for one in at_few_alarms(judged_videos(one_class)))
        operating_table(one_class)


def scored(count: int, seed: int = 0) -> pd.DataFrame:
    """Videos whose score is what it says: value is the log odds."""
    random = np.random.default_rng(seed)
    value = random.normal(0, 2, count)
    prob = 1 / (1 + np.exp(-value))
    return pd.DataFrame(
        {
            "video_id": [f"{n}.mp4" for n in range(count)],
            "label": (random.random(count) < prob).astype(int),
            "value": value,
            "prob": prob,
            "faces": random.integers(1, 4, count),
            "length": random.integers(50, 500, count),
        }
    )


def test_reliability_by_hand_and_its_intervals_hold():
    table = scored(4000)
    bins = reliability(table)
    assert len(bins) == 10 and sum(one.videos for one in bins) == 4000
    first = table[table["prob"] < 0.1]
    assert bins[0].fakes == pytest.approx(first["label"].mean())
    assert bins[0].mean == pytest.approx(first["prob"].mean())
    assert sum(one.interval.low <= one.mean <= one.interval.high for one in bins) >= 9
    of_three = table.assign(target_id=(table.index % 3).astype(str), dataset="d")
    assert all(math.isnan(one.interval.low) and one.groups == 3 for one in reliability(of_three))


def test_the_surest_videos_are_called_wrong_less_often():
    table = scored(2000)
    kept = risk_coverage(table, 0.0)
    wrong = (table["value"] > 0) != (table["label"] == 1)
    assert kept[0].risk == pytest.approx(wrong.mean()) and kept[0].videos == 2000
    surest = table["value"].abs().nlargest(1000).index
    assert kept[5].coverage == 0.5 and kept[5].risk == pytest.approx(wrong[surest].mean())
    assert kept[-1].risk < kept[0].risk / 3


def test_false_alarms_by_faces_and_length():
    table = scored(3000)
    found = {one.kind: one for one in false_alarms(table, 0.0)}
    reals = table[table["label"] == 0]
    two = reals[reals["faces"] == 2]
    assert found["2 faces"].reals == len(two)
    assert found["2 faces"].share == pytest.approx((two["value"] > 0).mean())
    assert sum(one.reals for kind, one in found.items() if "frames" in kind) == len(reals)


def test_the_deployed_score_is_what_is_judged():
    """A shift of the logits, which a temperature can't mend: reliability says so before, not after."""
    table = videos(300, 300).assign(frame=0)
    shifted = table.assign(logit=table["logit"] + 3)
    calibration = calibrate(shifted, "x")
    assert calibration.score.scale.method == "platt"
    raw, deployed = (operating_table(shifted, calibration=known) for known in (None, calibration))
    assert deployed.rows[1][1].value < 0.2 * raw.rows[1][1].value
    assert "the deployed score (platt, all frames)" in deployed.to_text()
    bins, kept, alarms = deployed_tables(shifted, calibration)
    assert "Fakes among them low" in bins.to_csv() and "Called fake high" in alarms.to_csv()
    assert kept.rows[0][1].value == 600
    again = with_deployed_score(shifted, calibration)
    assert again["video_score"].to_numpy() == pytest.approx(
        calibration.score.probs(shifted["logit"].to_numpy())
    )
