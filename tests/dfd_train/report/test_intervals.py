"""Intervals: the formulas against independent calculations, who is counted as evidence, how often they cover."""

import math
import runpy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from sklearn import metrics as sk

from dfd_train.metrics import Summary, estimate_intervals, summarize
from dfd_train.metrics.clustered import (
    AucInfluence,
    auc_interval,
    logit_interval,
    mean_error,
    mean_interval,
    mean_of_intervals,
    plain_mean_interval,
    separation_bound,
    share_interval,
)
from dfd_train.metrics.groups import VideoGroups
from dfd_train.metrics.operating import brier
from dfd_train.metrics.paired import judged_videos
from dfd_train.metrics.resampling import Ranked, standard_errors
from dfd_train.metrics.scores import cross_entropy_of_logits
from dfd_train.report.measures import Measures
from dfd_train.report.tables import evaluation_table, methods_table, summary_table

COVERAGE = Path(__file__).parents[3] / "benchmarks" / "coverage.py"


def people_table(seed=0, people=20, each=4, frames=3, effect=1.0) -> pd.DataFrame:
    """Each person has reals and fakes alike; logits are rounded, so that some are equal."""
    random = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        own = random.normal(0, effect)
        for number in range(each):
            label = number % 2
            centre = own + 1.5 * label + random.normal(0, 0.7)
            for frame in range(frames):
                logit = round(float(centre + random.normal(0, 0.3)), 1)
                rows.append((f"{person:02d}_{number}.mp4", "d", f"p{person}", label, frame, logit - 0.7))
    return pd.DataFrame(rows, columns=["video_id", "dataset", "target_id", "label", "frame", "logit"])


def arrays(seed=3, rows=80, groups=17):
    random = np.random.default_rng(seed)
    group = np.concatenate([np.arange(groups), random.integers(0, groups, rows - groups)])
    label = random.integers(0, 2, rows).astype(float)
    own = label * random.normal(1, 1.5, groups)[group]
    score = (own + random.normal(0, 1, rows)).round(1)
    return label, score, group


def wins(label, score):
    """The matrix of DeLong et al.: 1 where a fake outscores a real one, one half where they are equal."""
    fakes, reals = score[label == 1], score[label == 0]
    return (fakes[:, None] > reals) + 0.5 * (fakes[:, None] == reals)


def kish(group):
    """What groups are worth: 1 over the chance that two rows, drawn with replacement, are of one group."""
    return 1 / sum((np.asarray(group) == one).mean() ** 2 for one in set(np.asarray(group).tolist()))


def test_variance_of_the_area_without_groups_is_delongs():
    label, score, _ = arrays()
    won = wins(label, score)
    expected = np.var(won.mean(1), ddof=1) / len(won) + np.var(won.mean(0), ddof=1) / won.shape[1]
    influence = AucInfluence.of(label, score, np.arange(len(label)))
    assert influence.auc == pytest.approx(sk.roc_auc_score(label, score))
    assert influence.covariance(influence) == pytest.approx(expected, rel=1e-12)
    assert influence.design_effect() == pytest.approx(1.0)


def test_covariance_of_two_areas_in_groups_is_obuchowskis():
    """Group by group with loops, as the paper writes it."""
    label, score, group = arrays()
    other = score + np.random.default_rng(1).normal(0, 1, len(score))
    one, two = AucInfluence.of(label, score, group), AucInfluence.of(label, other, group)
    parts = []
    for value in (score, other):
        won, area = wins(label, value), sk.roc_auc_score(label, value)
        of_fakes, of_reals = group[label == 1], group[label == 0]
        sums = [
            ((won.mean(1)[of_fakes == g] - area).sum(), (won.mean(0)[of_reals == g] - area).sum())
            for g in np.unique(group)
        ]
        parts.append(np.array(sums))
    fakes, reals = int(label.sum()), int((1 - label).sum())
    with_fakes, with_reals = len(np.unique(group[label == 1])), len(np.unique(group[label == 0]))
    every = len(np.unique(group))
    s10 = with_fakes / ((with_fakes - 1) * fakes) * sum(parts[0][:, 0] * parts[1][:, 0])
    s01 = with_reals / ((with_reals - 1) * reals) * sum(parts[0][:, 1] * parts[1][:, 1])
    s11 = every / (every - 1) * sum(parts[0][:, 0] * parts[1][:, 1])
    s11_turned = every / (every - 1) * sum(parts[0][:, 1] * parts[1][:, 0])
    expected = s10 / fakes + s01 / reals + (s11 + s11_turned) / (fakes * reals)
    assert one.covariance(two) == pytest.approx(expected, rel=1e-10)
    assert one.covariance(two) == pytest.approx(two.covariance(one))


def test_interval_of_the_area_solves_newcombes_equation():
    label, score, group = arrays()
    found, influence = auc_interval(label, score, group), AucInfluence.of(label, score, group)
    effect = max(1.0, influence.design_effect())
    assert effect > 1.2  # groups matter here
    m, n = label.sum() / effect, (1 - label).sum() / effect
    spread = stats.t.ppf(0.975, min(kish(group[label == 1]), kish(group[label == 0])) - 1)

    def excess(x):
        star = (m + n) / 2 - 1
        variance = x * (1 - x) * (1 + star * (1 - x) / (2 - x) + star * x / (1 + x)) / (m * n)
        return abs(influence.auc - x) - spread * math.sqrt(variance)

    assert found.low == pytest.approx(optimize.brentq(excess, 1e-9, influence.auc), abs=1e-9)
    assert found.high == pytest.approx(optimize.brentq(excess, influence.auc, 1 - 1e-9), abs=1e-9)


def test_perfect_separation_is_a_bound():
    label, group = np.array([1.0] * 6 + [0.0] * 6), np.arange(12)
    won = auc_interval(label, label, group)
    assert won.high == 1.0 and won.low == pytest.approx(0.025 ** (1 / 6))
    assert won.low**6 == pytest.approx(0.025)  # six pairs are all won so rarely at this area
    lost = auc_interval(label, -label, group)
    assert (lost.low, lost.high) == (0.0, pytest.approx(1 - won.low))
    both = np.arange(12) % 6  # each person has a fake and a real: three pairs of different people
    assert separation_bound(1.0, label == 1, both, 0.95).low == pytest.approx(0.025 ** (1 / 3))


def test_one_score_for_all_has_an_interval_around_one_half():
    label = np.array([1.0, 0.0] * 10)
    found = auc_interval(label, np.zeros(20), np.arange(20))
    assert found.low < 0.3 and found.high > 0.7 and found.low + found.high == pytest.approx(1.0)


def test_interval_of_a_share_is_korn_and_graubards():
    _, score, group = arrays()
    hit = (score + np.random.default_rng(2).normal(0, 3, 17)[group] > 0.3).astype(float)
    rows, size, share = len(hit), len(np.unique(group)), hit.mean()
    sums = np.array([(hit[group == g] - share).sum() for g in np.unique(group)])
    variance = size / (size - 1) * (sums**2).sum() / rows**2
    effective = share * (1 - share) / variance
    effective *= (stats.t.ppf(0.975, rows - 1) / stats.t.ppf(0.975, kish(group) - 1)) ** 2
    assert effective < 0.9 * rows
    found = share_interval(hit, group)
    assert found.low == pytest.approx(stats.beta.ppf(0.025, share * effective, effective * (1 - share) + 1))
    assert found.high == pytest.approx(stats.beta.ppf(0.975, share * effective + 1, effective * (1 - share)))
    all_hit = share_interval(np.ones(rows), group)  # as many as groups are worth, not rows
    assert (all_hit.low, all_hit.high) == (pytest.approx(0.025 ** (1 / kish(group))), 1.0)
    assert share_interval(np.zeros(rows), group).high == pytest.approx(1 - 0.025 ** (1 / kish(group)))


def test_small_formulas_by_hand():
    one = share_interval(np.array([1.0, 0] * 8), np.arange(16))
    half = mean_of_intervals([0.8, 0.6], [one, one])
    assert half.low == pytest.approx(0.7 - math.hypot(0.8 - one.low, 0.6 - one.low) / 2)
    assert half.high == pytest.approx(0.7 + math.hypot(one.high - 0.8, one.high - 0.6) / 2)
    value = np.array([0.5, 1.0, 1.5, 3.0])
    found = mean_interval(value, np.arange(4), 3)
    freedom = 3.5**2 / 6.125  # squared deviations are 1, 0.25, 0 and 2.25: fewer than the 3 that it is told
    factor = math.exp(stats.t.ppf(0.975, freedom) * value.std(ddof=1) / 2 / value.mean())
    assert (found.low, found.high) == pytest.approx((1.5 / factor, 1.5 * factor))
    found = logit_interval(0.9, 0.02, 10)
    spread = stats.t.ppf(0.975, 10) * 0.02 / 0.09
    odds = math.log(9)
    assert (found.low, found.high) == pytest.approx(
        tuple(1 / (1 + math.exp(-(odds + sign * spread))) for sign in (-1, 1))
    )
    assert all(math.isnan(logit_interval(share, 0.02, 10).low) for share in (0.0, 1.0))


def test_rounding_gives_no_interval():
    """Seen: one score for all printed a log loss of "0.6931 (0.6931 to 0.6931)"."""
    group = np.arange(60, dtype=np.int64) % 15
    same = np.full(60, np.log(2.0)) + np.where(group % 2, 2e-16, 0.0)
    assert math.isnan(mean_interval(same, group, 14).low)
    assert math.isnan(plain_mean_interval(same, group).low)
    assert math.isnan(logit_interval(1 / 3, 1e-17, 14).low)
    label = (np.arange(60) % 3 == 0).astype(np.int8)
    names = [f"{number}.mp4" for number in range(60)]
    table = pd.DataFrame({"video_id": names, "label": label, "logit": np.full(60, 1e-300)})
    found = estimate_intervals(table.assign(dataset="d", target_id=group.astype(str)))
    for measure in ("loss", "log_loss", "ap", "eer"):
        low, high = getattr(found.low, measure), getattr(found.high, measure)
        assert math.isnan(low) or high > low + 1e-6, measure


@pytest.mark.parametrize("digits", [1, 6])
def test_ranked_measures_are_those_of_repeated_rows(digits):
    """A group drawn three times is its rows three times over."""
    label, score, group = arrays()
    score = (score + np.random.default_rng(0).random(len(score))).round(digits)
    weight = np.random.default_rng(1).integers(0, 4, (6, 17)).astype(np.int32)
    precision, error_rate = Ranked(label, score, group)(weight)
    for number in range(6):
        times = weight[number][group]
        rows = pd.DataFrame({"label": np.repeat(label, times), "logit": np.repeat(score, times)})
        expected = summarize(rows.assign(video_id=np.arange(len(rows))))
        assert precision[number] == pytest.approx(sk.average_precision_score(rows["label"], rows["logit"]))
        assert error_rate[number] == pytest.approx(expected.eer)


@pytest.mark.slow
def test_standard_errors_are_those_of_a_plain_bootstrap_of_groups():
    label, score, group = arrays(rows=160, groups=10)
    assert all(set(label[group == g]) == {0.0, 1.0} for g in range(10))  # else each kind is drawn apart
    found = standard_errors(label, score, group, 1000, 1)
    random, values = np.random.default_rng(5), []
    for _ in range(600):
        rows = np.concatenate([np.flatnonzero(group == g) for g in random.integers(0, 10, 10)])
        values.append(sk.average_precision_score(label[rows], score[rows]))
    assert found[0] == pytest.approx(np.std(values), rel=0.12)
    assert found == standard_errors(label, score, group, 1000, 1)
    assert found != standard_errors(label, score, group, 1000, 2)


def test_large_tables_in_threads_give_the_same_numbers(monkeypatch):
    label, score, group = arrays()
    alone = standard_errors(label, score, group, 64, 0)
    monkeypatch.setattr("dfd_train.metrics.resampling.AT_ONCE", 640)  # eight rows of weights at a time
    parts = standard_errors(label, score, group, 64, 0)
    monkeypatch.setattr("dfd_train.metrics.resampling.THREADS", 1)
    assert standard_errors(label, score, group, 64, 0) == parts
    assert parts == pytest.approx(alone, rel=0.5)  # other draws


def test_frames_add_no_evidence():
    """Ten copies of every frame don't narrow an interval, nor do ten videos of the same person doing the same."""
    table = people_table()
    once, tenfold = estimate_intervals(table), estimate_intervals(pd.concat([table] * 10, ignore_index=True))
    again = [table.assign(video_id=f"{number}/" + table["video_id"]) for number in range(10)]
    copies = estimate_intervals(pd.concat(again, ignore_index=True))
    for name in ("frame_auc", "frame_accuracy", "loss", "video_auc", "log_loss", "ap", "frame_eer"):
        width = getattr(once.high, name) - getattr(once.low, name)
        for other in (tenfold, copies):
            assert getattr(other.high, name) - getattr(other.low, name) == pytest.approx(width, rel=0.15), (
                name
            )


def test_every_interval_holds_its_point_and_repeats():
    table = people_table()
    point, found = summarize(table), estimate_intervals(table)
    for field in fields(Summary)[2:]:
        low, value, high = (getattr(one, field.name) for one in (found.low, point, found.high))
        if field.name.endswith("ece"):
            assert math.isnan(low) and math.isnan(high)  # biased in small sets: none is given
        else:
            assert low < value < high, field.name
    assert repr(estimate_intervals(table)) == repr(found)
    wide, narrow = estimate_intervals(table, level=0.99), estimate_intervals(table, level=0.8)
    for name in ("video_auc", "video_accuracy", "balanced_accuracy", "ap", "eer", "log_loss"):
        assert getattr(wide.low, name) < getattr(found.low, name) < getattr(narrow.low, name)
    with pytest.raises(ValueError, match="level 95"):
        estimate_intervals(table, level=95)


def groups_of(rows) -> list[int]:
    columns = ["video_id", "dataset", "source_id", "target_id", "original_id"]
    return VideoGroups.of(pd.DataFrame(rows, columns=columns)).number.tolist()


def test_people_and_originals_link_videos():
    """The source and the target of a fake, over third videos too; a person is one of its data set."""
    rows = [
        ("a", "ffpp", None, "001", None),
        ("b", "ffpp", "002", "001", "a"),  # links 001 and 002
        ("c", "ffpp", "", "002", ""),
        ("d", "ffpp", "003", "004", None),
        ("e", "other", None, "001", None),  # another person
        ("f", "dfdc", None, None, None),
        ("g", "dfdc", None, None, "f"),  # by the original
        ("h", "dfdc", None, None, "x"),
        ("i", "dfdc", None, None, "x"),  # the original itself is not in the table
        ("j", "dfdc", None, None, np.nan),
    ]
    assert groups_of(rows) == [0, 0, 0, 1, 2, 3, 3, 4, 4, 5]
    groups = VideoGroups.of(
        pd.DataFrame(rows, columns=["video_id", "dataset", "source_id", "target_id", "original_id"])
    )
    assert (groups.named, groups.linked) == (5, 4)
    bare = VideoGroups.of(pd.DataFrame({"video_id": ["a", "b"]}))
    assert bare.number.tolist() == [0, 1]


def test_a_persons_names_are_made_alike_as_where_leaks_are_searched():
    """A table of predictions of before scan did so, or of somebody else's, has people as they were typed."""
    rows = [
        ("a", "mine", None, "Anna", None),
        ("b", "mine", "anna ", "2.0", None),
        ("c", "Mine", None, "2", None),
        ("d", "mine", None, "nan", None),
        ("e", "mine", None, "None", None),
    ]
    assert groups_of(rows) == [0, 0, 0, 1, 2]


def shown(table: pd.DataFrame) -> str:
    """All that `evaluate` prints of intervals."""
    table = table.assign(method=np.where(table["label"] == 1, "Deepfakes", "original_sequences"))
    measures = Measures(table)
    tables = (summary_table(measures), evaluation_table(measures), methods_table(measures))
    return "\n".join(one.to_text() for one in tables)


def test_two_people_give_no_interval():
    """48 videos of two people, one's fakes all missed: an AUC stands there, no ends, and why."""
    text = shown(people_table(people=2, each=24))
    assert " to " not in text.replace("opposed to", "")
    assert (
        "48 videos are 2 independent groups (by the people they show): fakes are in 2 of them, reals in 2."
        in text
    )
    assert "No interval: fewer than 5 groups hold one of the classes." in text
    assert "rough" in shown(people_table(people=14)) and "rough" not in shown(people_table(people=15))


def test_one_person_in_most_videos_gives_no_interval():
    """60 of 80 videos are of one of six people: such intervals held the truth 60 to 84 times in 100."""
    table = people_table(people=6, each=60)
    few = table["target_id"].ne("p0") & (table["video_id"].str[3:5].str.rstrip(".m").astype(int) >= 4)
    text = shown(table[~few])
    assert "80 videos are 6 independent groups" in text and "rough" in shown(people_table(people=6, each=60))
    assert (
        "No interval: most videos of one class are in few of its groups, which are worth 1.7 groups" in text
    )
    assert not math.isfinite(estimate_intervals(table[~few]).low.video_auc)


def test_no_interval_has_no_width():
    rows = [("a", 1, 3.0), ("b", 0, -1.0), ("c", 0, -2.0), ("d", 0, -3.0)]
    text = shown(pd.DataFrame(rows, columns=["video_id", "label", "logit"]))
    assert "1.0000" in text and "to 1.0000" not in text
    rows = [(f"{number}", number % 2, 8.0 * (number % 2) - 4) for number in range(12)]
    found = estimate_intervals(pd.DataFrame(rows, columns=["video_id", "label", "logit"]))
    for name in ("video_auc", "video_accuracy", "balanced_accuracy", "frame_auc"):
        assert getattr(found.low, name) < 0.8 and getattr(found.high, name) == 1.0, name
    assert math.isnan(found.low.ap) and math.isnan(found.low.eer)  # at their ends resampling says nothing


def test_a_mean_s_error_is_what_leaving_out_one_group_at_a_time_shows() -> None:
    sizes = (40, 3, 3, 2, 2, 1)
    group, value = np.repeat(np.arange(6), sizes), np.random.default_rng(0).exponential(size=51)
    means = np.array([value[group != one].mean() for one in range(6)])
    error = np.sqrt(5 / 6 * ((means - value.mean()) ** 2).sum())
    assert mean_error(value, group) == pytest.approx(error)
    alike = np.repeat(np.arange(17), 3)
    of_groups = value.reshape(17, 3).mean(1)
    assert mean_error(value, alike) == pytest.approx(of_groups.std(ddof=1) / np.sqrt(17))  # as ever


def test_the_loss_of_a_network_that_is_far_too_sure_is_covered(simulation) -> None:
    """A few sure mistakes make all of it: five people per class, logits five times as large."""
    random, sets = np.random.default_rng(0), 4000
    true = simulation["truth"](10, 10, 5.0)["log_loss"]
    held = 0
    for _ in range(sets):
        drawn = simulation["simulate"](random, 10, 10, 5.0)
        loss = cross_entropy_of_logits(drawn.label, drawn.logit)
        found = mean_interval(loss, drawn.person, freedom=4)
        held += found.low <= true <= found.high
    assert held >= stats.binom.ppf(0.001, sets, 0.92), held / sets


@pytest.mark.parametrize("aggregation", ["mean", "median", "max"])
def test_areas_are_of_values_that_do_not_saturate(aggregation):
    """Scores of 40 and 50 on the logit scale are both 1.0; the fake of 50 still outranks the real one of 40."""
    rows = [("a", 1, 50.0), ("a", 1, 49.0), ("b", 0, 40.0), ("b", 0, 41.0)]
    high = pd.DataFrame(rows, columns=["video_id", "label", "logit"])
    found = summarize(high, aggregation)
    assert found.video_auc == found.frame_auc == found.ap == 1.0
    turned = summarize(high.assign(label=1 - high["label"]), aggregation)
    assert turned.video_auc == turned.frame_auc == 0.0


@pytest.fixture(scope="module")
def simulation() -> dict[str, Any]:
    return runpy.run_path(str(COVERAGE))


@pytest.mark.parametrize(("videos", "people"), [(20, 20), (10, 5), (60, 15), (204, 20)])
def test_simulated_intervals_are_those_of_the_table(simulation, videos, people):
    """So that what the simulations below say of the formulas holds of `evaluate`."""
    drawn = simulation["simulate"](np.random.default_rng(0), videos, people)
    of_table, found = estimate_intervals(drawn.table(), resamples=50), drawn.intervals(50)
    of_squares = brier(judged_videos(drawn.table())).interval
    assert found.pop("brier") == pytest.approx(of_squares)
    for measure, one in found.items():
        ends = getattr(of_table.low, measure), getattr(of_table.high, measure)
        assert (one.low, one.high) == pytest.approx(ends, abs=1e-9, nan_ok=True), measure
    (summary,) = drawn.levels().summary(np.ones(videos), 0.5)
    assert asdict(summary) == pytest.approx(asdict(summarize(drawn.table())), abs=1e-9)


@pytest.mark.full
@pytest.mark.parametrize(
    ("videos", "people"),
    [(10, 10), (20, 20), (60, 60), (10, 5), (20, 5), (60, 15), (350, 70), (204, 20), (16, 5)],
)
def test_intervals_cover(simulation, videos, people):
    """Of 300 sets so many hold the truth that 0.92 can be believed; from 60 videos on, so few that 0.985 can."""
    found = simulation["coverage"](videos, people, 300)
    for measure, one in found.iterrows():
        at_least = stats.binom.ppf(0.001, one.given, 0.92)
        assert one.held >= at_least, (measure, one.held, one.given)
        if videos >= 60:
            assert one.held <= stats.binom.ppf(0.999, one.given, 0.985), (measure, one.held, one.given)


@pytest.mark.full
@pytest.mark.parametrize("number", range(3))
def test_intervals_of_means_over_sets_cover(simulation, number):
    for measure, one in simulation["of_means"](simulation["SUITES"][number], 150).iterrows():
        assert one.held >= stats.binom.ppf(0.001, one.given, 0.92), (measure, one.held, one.given)
        assert one.held <= stats.binom.ppf(0.999, one.given, 0.985), (measure, one.held, one.given)
