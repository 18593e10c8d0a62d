"""The Brier score with its parts, and fakes found at few false alarms, against scikit-learn and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from dfd_train.metrics.operating import at_few_alarms, brier
from dfd_train.report.operating import operating_table


def videos(reals: int, fakes: int, shift: float = 2.0, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = np.repeat([0, 1], [reals, fakes])
    logit = random.normal(0, 1.5, len(label)) + shift * (label - 0.5)
    return pd.DataFrame({"video_id": [f"{n}.mp4" for n in range(len(label))], "label": label, "logit": logit})


def test_brier_score_and_its_parts():
    table = videos(120, 200)
    found, prob = brier(table), 1 / (1 + np.exp(-table["logit"]))
    assert found.score == pytest.approx(sk.brier_score_loss(table["label"], prob))
    assert found.interval.low < found.score < found.interval.high
    assert found.uncertainty == pytest.approx(120 * 200 / 320**2)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(found.score)
    by_bin = pd.DataFrame({"bin": (prob * 15).astype(int), "prob": prob, "label": table["label"]}).groupby(
        "bin"
    )
    gaps = by_bin["prob"].mean() - by_bin["label"].mean()
    assert found.reliability == pytest.approx((by_bin.size() * gaps**2).sum() / 320)
    shifted = brier(table.assign(logit=table["logit"] + 3))
    assert shifted.reliability > 5 * found.reliability
    constant = brier(
        table.assign(logit=math.log(200 / 120))
    )  # the share of fakes for all: calibrated, tells nothing
    assert (constant.reliability, constant.resolution) == pytest.approx((0, 0), abs=1e-12)


def test_no_brier_score_is_above_one():
    """Few people of whom some are quite wrong: on the scale of logarithms the interval would end above 1."""
    table = videos(6, 6)
    wrong = table.assign(logit=np.where(table.index % 2, 20.0, -20.0) * (1 - 2 * table["label"]))
    found = brier(wrong)
    assert 0 < found.interval.low < found.score < found.interval.high == 1.0


def test_fakes_found_at_few_alarms():
    table = videos(1000, 300)
    percent, thousandth = at_few_alarms(table)
    reals = np.sort(table.loc[table["label"] == 0, "logit"])[::-1]
    fakes = table.loc[table["label"] == 1, "logit"]
    assert percent.hits == pytest.approx((fakes > reals[10]).mean())  # ten of a thousand lie above
    assert thousandth.hits == pytest.approx((fakes > reals[1]).mean())
    assert 0 < thousandth.hits < percent.hits < 1


def test_too_few_reals_are_said():
    text = operating_table(videos(99, 50)).to_text()
    assert "Fakes found at 1 % false alarms: not resolvable with 99 real videos." in text
    assert "Fakes found at 0.1 % false alarms: not resolvable with 99 real videos." in text
    percent, thousandth = at_few_alarms(videos(100, 50))
    assert percent.resolvable and percent.hits > 0 and math.isnan(thousandth.hits)
    for one_class in (videos(0, 20), videos(200, 0)):
        assert all(math.isnan(one.hits) for one in at_few_alarms(one_class))
        operating_table(one_class)
