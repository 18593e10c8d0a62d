"""Scales against scikit-learn and truths that are known beforehand; cross-validation takes the one that holds."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from dfd_train.calibration.choosing import FOLDS, _folds, choose_scale
from dfd_train.calibration.scales import class_weights, fit_scale, targets
from dfd_train.metrics.scores import sigmoid


def honest(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log odds, symmetric, and whether each is a fake, as they say."""
    random = np.random.default_rng(seed)
    value = random.normal(0, 2, count)
    return value, random.random(count) < sigmoid(value)


def test_platt_is_the_weighted_logistic_regression() -> None:
    value, fake = honest(2000)
    found = fit_scale("platt", 2 * value + 3, fake)
    target, weight = targets(fake), class_weights(fake)
    twice = np.concatenate([2 * value + 3] * 2)[:, None]  # a soft target is two rows
    label = np.repeat([1, 0], len(value))
    rows = np.concatenate([weight * target, weight * (1 - target)]) * 1e6
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(twice, label, sample_weight=rows)
    assert (found.slope, found.shift) == pytest.approx(
        (expected.coef_[0, 0], expected.intercept_[0]), rel=1e-3
    )


def test_isotonic_is_scikit_learns() -> None:
    value, fake = honest(500)
    value = value.round(1)  # with ties
    found = fit_scale("isotonic", value, fake)
    expected = IsotonicRegression(out_of_bounds="clip").fit(
        value, targets(fake), sample_weight=class_weights(fake)
    )
    at = np.linspace(-9, 9, 400)
    assert found.probs(at) == pytest.approx(
        expected.predict(at), abs=1e-3
    )  # its flat parts rise by so little
    assert found.probs(at).min() > 0 and found.probs(at).max() < 1  # never certain
    assert len(found.knots) < 60


def test_isotonic_changes_no_order() -> None:
    """Flat parts would give the file above a verdict's limit and the one below it the same probability."""
    value, fake = honest(200)
    found = fit_scale("isotonic", value, fake)
    at = np.array([-50.0, -40.0, *np.linspace(-9, 9, 400), 40.0, 50.0])
    assert (np.diff(found.probs(at)) > 0).all()


@pytest.mark.parametrize(
    ("bend", "expected"),
    [
        (lambda x: 1.7 * x, "temperature"),
        (lambda x: x + 3, "platt"),
        (lambda x: np.where(x > 0, 6 * x, 0.2 * x), "isotonic"),
    ],
    ids=["too steep", "shifted", "bent"],
)
def test_cross_validation_takes_the_simplest_scale_that_holds(bend, expected) -> None:
    value, fake = honest(3000)
    choice = choose_scale(bend(value), fake, np.arange(len(value)))
    assert choice.scale.method == expected
    assert [one.method for one in choice.tried] == ["temperature", "platt", "isotonic"]
    truth = sigmoid(value)
    assert np.abs(choice.scale.probs(bend(value)) - truth).mean() < 0.04
    if (
        expected != "temperature"
    ):  # which is as wrong as was seen: a shift leaves fakes far from their probability
        alone = fit_scale("temperature", bend(value), fake)
        assert np.abs(alone.probs(bend(value)) - truth).mean() > 0.08


def test_no_group_stands_on_both_sides_and_each_fold_has_both_classes() -> None:
    group = np.repeat(np.arange(12), 5)
    fake = np.arange(60) % 5 > 0
    folds = _folds(fake, group, seed=0)
    assert folds is not None
    for number in range(12):
        assert len(set(folds[group == number])) == 1
    for fold in range(FOLDS):
        assert set(fake[folds == fold]) == {True, False}


def test_groups_decide_not_videos() -> None:
    """40 videos of four people: nothing can be held out, and the temperature is taken."""
    value, fake = honest(40)
    assert choose_scale(value, fake, np.arange(40) % 4).tried == ()


def test_a_model_that_is_no_better_than_chance_has_no_calibration() -> None:
    value, _ = honest(600)
    fake = np.arange(600) % 2 == 0
    assert "end of its range" in fit_scale("temperature", -value, ~fake & (value > 0)).failed
    assert "wrong way round" in fit_scale("platt", -value, value > 0).failed
    assert "wrong way round" in fit_scale("isotonic", -value, value > 0).failed
    assert fit_scale("temperature", value, honest(600)[1]).failed == ""
