"""Limits keep their risk: simulated with people of several videos, with several looks at a file, and by hand."""

import numpy as np
import pytest

from dfd_train.calibration.limits import RISK, ClassValues, Limits, needed_groups


def test_limits_by_hand() -> None:
    reals = ClassValues.of(np.arange(39.0), np.arange(39))  # p of a value above all: 1/40
    assert reals.p_high(38.5) == pytest.approx(1 / 40)
    assert reals.p_high(38.0) == pytest.approx(2 / 40)
    # at 5 % one of 39 may lie above: the limit is the second highest
    assert reals.limit_above(0.05) == 37.0 and reals.p_high(37.01) <= 0.05 < reals.p_high(37.0)
    assert reals.limit_above(0.025) == 38.0
    assert reals.limit_above(0.02) == float("inf")  # 39 people can't say so
    assert ClassValues.of(np.arange(39.0), np.arange(39)).limit_below(0.05) == 1.0


def test_a_person_counts_once_however_many_videos() -> None:
    value = np.concatenate([np.zeros(30), [9.0]])
    group = np.concatenate([np.arange(30) % 15, [15]])
    sample = ClassValues.of(value, group)
    assert sample.groups == 16
    assert sample.share_above(5.0) == pytest.approx(1 / 16)  # of videos it is one of 31


def test_no_limit_is_given_where_it_can_t_be_known() -> None:
    few = ClassValues.of(np.arange(18.0), np.arange(18))
    limits = Limits.of(few, few, 1)
    assert limits.fake_above == float("inf") and limits.real_below == float("-inf")
    assert needed_groups(1) == 19 and needed_groups(13) == 259
    enough = ClassValues.of(np.arange(19.0), np.arange(19))
    assert Limits.of(enough, enough, 1).fake_above == 18.0
    assert Limits.of(enough, enough, 2).fake_above == float("inf")


def test_between_two_classes_far_apart_nothing_is_decided() -> None:
    group = np.arange(100)
    limits = Limits.of(ClassValues.of(group / 100 - 9, group), ClassValues.of(group / 100 + 9, group), 1)
    assert limits.real_below == pytest.approx(-8.05, abs=0.02)  # 5 % of the reals lie above even that
    assert limits.fake_above == pytest.approx(9.05, abs=0.02)


def test_many_videos_are_kept_as_quantiles() -> None:
    random = np.random.default_rng(0)
    value, group = random.normal(size=30_000), random.integers(5000, size=30_000)
    kept = ClassValues.of(value, group)
    assert len(kept.values) == 1001 and sum(kept.weights) == pytest.approx(1)
    assert kept.limit_above(0.05) == pytest.approx(1.645, abs=0.06)


@pytest.mark.parametrize("looks", [1, 3, 8])
def test_real_files_are_called_fake_as_rarely_as_stated(looks) -> None:
    """200 validation people of three videos each; files of new people, of whom the highest value counts."""
    random = np.random.default_rng(looks)
    alarms, missed = [], []
    for _ in range(300):
        people, within = random.normal(0, 1, 200), random.normal(0, 0.5, (200, 3))
        value, group = (people[:, None] + within).ravel(), np.repeat(np.arange(200), 3)
        limits = Limits.of(ClassValues.of(value, group), ClassValues.of(value + 3, group), looks)
        new = random.normal(0, 1, (200, looks)) + random.normal(0, 0.5, (200, looks))
        alarms.append((new.max(1) > limits.fake_above).mean())
        new[:, 0] += 3  # one face of it is a fake's
        missed.append((new.max(1) < limits.real_below).mean())
    assert 0.2 * RISK < np.mean(alarms) < 1.05 * RISK
    assert np.mean(missed) < 1.05 * RISK


def test_uncorrected_limits_would_not_hold() -> None:
    """What the correction is for: of files of eight faces a third would be called fake."""
    random = np.random.default_rng(0)
    limits = Limits.of(ClassValues.of(random.normal(size=500), np.arange(500)), ClassValues((), (), 0), 1)
    assert (random.normal(size=(5000, 8)).max(1) > limits.fake_above).mean() > 0.25


def test_means_of_few_frames_do_not_keep_the_risk() -> None:
    """Why a single picture gets no verdict: the limits come from means of twelve frames."""
    random = np.random.default_rng(0)

    def values(people: int, frames: int) -> np.ndarray:
        return random.normal(0, 0.7, people) + random.normal(0, 1, (people, frames)).mean(1)

    limit = np.mean([ClassValues.of(values(500, 12), np.arange(500)).limit_above(RISK) for _ in range(50)])
    alarms = {frames: (values(50_000, frames) > limit).mean() for frames in (12, 3, 1)}
    assert alarms[12] == pytest.approx(0.05, abs=0.005)
    assert alarms[3] == pytest.approx(0.08, abs=0.01) and alarms[1] == pytest.approx(0.15, abs=0.01)
