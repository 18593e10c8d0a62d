"""Metrics against scikit-learn and by hand."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from sklearn import metrics as sk

from dfd_train.metrics import (
    Summary,
    best_threshold,
    estimate_intervals,
    method_subset,
    summarize,
    video_scores,
)
from dfd_train.metrics.scores import benchmark_equal_error_rate, rank


def table(rng, videos=40, frames=5, methods=("Deepfakes", "NeuralTextures"), shift=1.0) -> pd.DataFrame:
    """Predictions with ties (rounded logits); every method forges the same originals under the same names."""
    rows = []
    for number in range(videos):
        for method in ("original_sequences", *methods):
            fake = method != "original_sequences"
            centre = rng.normal(shift if fake else -shift, 1.0)
            for frame in range(frames):
                rows.append((f"{method}/c23/videos/{number:03d}.mp4", "ffpp", method, frame, int(fake),
                             round(float(rng.normal(centre, 1.0)), 1)))  # fmt: skip
    columns = ["video_id", "dataset", "method", "frame", "label", "logit"]
    return pd.DataFrame(rows, columns=columns).astype({"logit": "float32", "label": "int8"})


@pytest.fixture
def predictions() -> pd.DataFrame:
    return table(np.random.default_rng(3))


def reference_videos(predictions):
    prob = 1 / (1 + np.exp(-predictions["logit"].astype("float64")))
    return (
        predictions.assign(prob=prob).groupby("video_id").agg(label=("label", "first"), prob=("prob", "mean"))
    )


def eer_by_root(label, score):
    alarm, hit, _ = sk.roc_curve(label, score, drop_intermediate=False)
    return brentq(lambda x: 1 - x - np.interp(x, alarm, hit), 0, 1)


def test_everything_agrees_with_scikit_learn(predictions):
    got = summarize(predictions)
    videos = reference_videos(predictions)
    label, prob = videos["label"], videos["prob"]
    frame_label = predictions["label"]
    frame_prob = 1 / (1 + np.exp(-predictions["logit"].astype("float64")))
    expected = {
        "videos": 120,
        "frames": 600,
        "loss": sk.log_loss(frame_label, frame_prob),
        "frame_accuracy": sk.accuracy_score(frame_label, frame_prob > 0.5),
        "video_accuracy": sk.accuracy_score(label, prob > 0.5),
        "balanced_accuracy": sk.balanced_accuracy_score(label, prob > 0.5),
        "frame_balanced_accuracy": sk.balanced_accuracy_score(frame_label, frame_prob > 0.5),
        "video_auc": sk.roc_auc_score(label, prob),
        "frame_auc": sk.roc_auc_score(frame_label, frame_prob),
        "ap": sk.average_precision_score(label, prob),
        "frame_ap": sk.average_precision_score(frame_label, frame_prob),
        "log_loss": sk.log_loss(label, prob),
    }
    for name, value in expected.items():
        assert getattr(got, name) == pytest.approx(value, abs=1e-12), name
    assert got.frame_eer == pytest.approx(eer_by_root(frame_label, frame_prob), abs=1e-9)
    assert got.eer == pytest.approx(eer_by_root(label, prob), abs=1e-9)
    assert (
        0.5 < got.video_auc < 1
    )  # the fixture is neither chance nor perfect, so the equalities say something


def frames_of(*videos) -> pd.DataFrame:
    """Rows from (video_id, label, logits) by hand."""
    return pd.DataFrame(
        [
            {"video_id": video, "method": "m" if label else "original_sequences", "label": label, "logit": z}
            for video, label, logits in videos
            for z in logits
        ]
    )


def logit(p):
    return float(np.log(p / (1 - p)))


def test_by_hand():
    got = summarize(
        frames_of(
            ("a", 1, [logit(0.9), logit(0.3)]),  # mean 0.6: called fake
            ("b", 1, [logit(0.2), logit(0.4)]),  # mean 0.3: missed
            ("c", 0, [logit(0.1), logit(0.1)]),
            ("d", 0, [logit(0.2), logit(0.7)]),  # mean 0.45: called real
            ("e", 0, [logit(0.6), logit(0.6)]),  # a false alarm
        )
    )
    assert (got.videos, got.frames) == (5, 10)
    assert got.frame_accuracy == pytest.approx(4 / 10)  # fakes: 0.9; reals: 0.1, 0.1, 0.2
    assert got.video_accuracy == pytest.approx(3 / 5)
    assert got.balanced_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)
    # pairs won: 0.6 beats 0.1, 0.45 and ties with 0.6; 0.3 beats 0.1
    assert got.video_auc == pytest.approx(3.5 / 6)
    losses = [-np.log(p) for p in (0.9, 0.3, 0.2, 0.4, 0.9, 0.9, 0.8, 0.3, 0.4, 0.4)]
    assert got.loss == pytest.approx(np.mean(losses))
    # all five video probabilities lie in bins of their own: |p - y| averaged
    gaps = [0.4, 0.7, 0.1, 0.45, 0.6]
    bins = [9, 4, 1, 6, 9]  # 0.6 of a fake and 0.6 of a real share a bin: |1.2 - 1| over 5
    assert bins[0] == bins[4]
    assert got.ece == pytest.approx((0.2 + gaps[1] + gaps[2] + gaps[3]) / 5)
    # frames by bin of 1/15: (0.1, 0.1) of reals, (0.2 of a fake, 0.2 of a real), 0.3, 0.4, (0.6, 0.6), 0.7, 0.9
    assert got.frame_ece == pytest.approx((0.2 + abs(0.4 - 1) + 0.7 + 0.6 + 1.2 + 0.7 + 0.1) / 10)


def test_same_name_in_two_methods_is_two_videos(predictions):
    assert summarize(predictions).videos == 120
    assert summarize(predictions, group_by="name").videos == 40
    merged = video_scores(predictions, group_by="name")
    assert set(merged["label"]) == {0}  # real and fake share the name here: only all-fake groups are fake


def test_merged_names_as_in_ff():
    """FF++: fakes are named 000_003 in each of four methods, originals 000: 5 videos become 2."""
    logits = {"Deepfakes": 3.0, "Face2Face": 2.0, "FaceSwap": 1.0, "NeuralTextures": -1.0}
    names = [(f"manipulated_sequences/{m}/c23/videos/000_003.mp4", 1, [z]) for m, z in logits.items()]
    rows = frames_of(*names, ("original_sequences/youtube/c23/videos/000.mp4", 0, [0.0]))
    merged = video_scores(rows, group_by="name")
    assert list(merged["label"]) == [1, 0]
    assert merged["prob"][0] == pytest.approx(np.mean([1 / (1 + np.exp(-z)) for z in (3, 2, 1, -1)]))
    assert summarize(rows).video_auc == pytest.approx(0.75)
    assert summarize(rows, group_by="name").video_auc == 1.0


def test_ff_has_700_test_videos_and_280_names():
    """Its test split: 70 pairs, so 140 originals and 140 fakes of each of four methods, before anything is dropped."""
    pairs = [(f"{a:03d}", f"{a + 500:03d}") for a in range(70)]
    fakes = [f"{a}_{b}" for pair in pairs for a, b in (pair, pair[::-1])]
    videos = [(f"original_sequences/youtube/c23/videos/{one}.mp4", 0) for pair in pairs for one in pair]
    videos += [
        (f"manipulated_sequences/{method}/c23/videos/{name}.mp4", 1)
        for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
        for name in fakes
    ]
    rows = frames_of(*((video, label, [label - 0.5]) for video, label in videos))
    assert summarize(rows).videos == 700
    assert summarize(rows, group_by="name").videos == 280


@pytest.mark.parametrize("digits", [1, 3])
def test_the_benchmarks_equal_error_rate(digits):
    """That of scikit-learn's curve at the point where the rates are nearest, ties and lines included."""
    for seed in range(200):
        random = np.random.default_rng(seed)
        label, score = np.array([0.0, 1.0, *random.integers(0, 2, 30)]), random.random(32).round(digits)
        alarm, hit, _ = sk.roc_curve(label, score)
        expected = alarm[np.nanargmin(np.abs(1 - hit - alarm))]
        assert benchmark_equal_error_rate(rank(label, score, np.ones(32))) == pytest.approx(expected)


@pytest.mark.parametrize("aggregation", ["mean", "median", "max"])
def test_aggregations(predictions, aggregation):
    prob = 1 / (1 + np.exp(-predictions["logit"].astype("float64")))
    expected = prob.groupby(predictions["video_id"]).agg(aggregation)
    videos = video_scores(predictions, aggregation).set_index("video_id")
    pd.testing.assert_series_equal(videos["prob"].sort_index(), expected, check_names=False)


def dfdc_winners(prob):
    """Seferbekov's strategy, of one video's probabilities."""
    high, low = prob[prob > 0.8], prob[prob < 0.2]
    if len(high) > len(prob) // 2.5 and len(high) > 11:
        return high.mean()
    return low.mean() if len(low) > 0.9 * len(prob) else prob.mean()


def test_pooling_by_the_sure_frames_is_the_dfdc_winners():
    random = np.random.default_rng(3)
    spreads = [(12, 3, 0.3), (12, -4, 1), (32, 2, 2), (28, 1.5, 1), (5, 9, 0.1), (1, 0, 1)]
    videos = [(f"v{i}", i % 2, random.normal(at, by, n)) for i, (n, at, by) in enumerate(spreads)]
    videos += [("mostly real", 0, np.array([-3.0] * 38 + [0.0] * 2)), ("half real", 1, np.array([-3.0, 0.0]))]
    shuffled = frames_of(*videos).sample(frac=1, random_state=1)
    found = video_scores(shuffled, "confident").set_index("video_id")["prob"]
    expected = {name: dfdc_winners(1 / (1 + np.exp(-logit))) for name, _, logit in videos}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    means = video_scores(shuffled).set_index("video_id")["prob"]
    other = [name for name in expected if found[name] != pytest.approx(means[name])]
    assert other == ["v2", "v3", "mostly real"]
    summary = summarize(shuffled, "confident")
    key = [dfdc_winners(1 / (1 + np.exp(-logit))) for *_, logit in videos]
    assert summary.video_auc == pytest.approx(sk.roc_auc_score([label for _, label, _ in videos], key))


def test_one_class_gives_nan_not_a_number(predictions):
    got = summarize(predictions[predictions["label"] == 1])
    for name in ("balanced_accuracy", "video_auc", "frame_auc", "eer", "frame_eer"):
        assert np.isnan(getattr(got, name)), name
    assert 0 < got.video_accuracy < 1
    assert got.ap == 1.0
    assert np.isnan(summarize(predictions[predictions["label"] == 0]).ap)
    alone = estimate_intervals(predictions[predictions["label"] == 1]).low
    assert np.isnan(alone.video_auc) and np.isnan(alone.ap) and 0 < alone.video_accuracy < 1


def test_extreme_logits_stay_finite():
    got = summarize(frames_of(("a", 1, [-800.0]), ("b", 0, [800.0]), ("c", 0, [-900.0])))
    assert got.loss == pytest.approx(1600 / 3)
    assert np.isfinite(dataclasses.astuple(got)).all()
    assert got.video_auc == got.frame_auc == 0.5  # -800 outranks -900, though both scores are 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="logit"), "lack the column 'logit'"),
        (lambda t: t.assign(logit=np.nan), "600 of 600 logits not finite"),
        (lambda t: t.assign(label=2), "labels are 0"),
        (lambda t: t.iloc[:0], "has no rows"),
        (lambda t: t.assign(video_id="one"), "frames of both labels"),
    ],
)
def test_errors_name_what_is_wrong(predictions, change, words):
    with pytest.raises(ValueError, match=words):
        summarize(change(predictions))
    with pytest.raises(ValueError, match="'mode' is unknown; use one of mean, median, max"):
        summarize(predictions, aggregation="mode")


def test_threshold_comes_from_validation():
    validation = frames_of(
        ("a", 1, [logit(0.4)]), ("b", 1, [logit(0.36)]), ("c", 0, [logit(0.3)]), ("d", 0, [logit(0.1)])
    )
    threshold = best_threshold(validation)
    assert threshold == pytest.approx(0.33)
    assert summarize(validation).balanced_accuracy == 0.5
    assert summarize(validation, threshold=threshold).balanced_accuracy == 1.0
    with pytest.raises(ValueError, match="one class only"):
        best_threshold(validation[validation["label"] == 1])


def test_threshold_prefers_one_half_among_equals():
    assert best_threshold(frames_of(("a", 1, [2.0]), ("b", 0, [-4.0]))) == 0.5


def test_methods_share_the_originals_of_their_data_set(predictions):
    actors = table(np.random.default_rng(5), videos=6, methods=("DeepFakeDetection",)).assign(dataset="dfd")
    actors["video_id"] = "dfd/" + actors["video_id"]
    both = pd.concat([predictions, actors])
    assert summarize(method_subset(both, "Deepfakes")).videos == 80
    assert summarize(method_subset(both, "DeepFakeDetection")).videos == 12
    assert summarize(method_subset(both, "original_sequences")).videos == 46
    fakes_only = both[(both["label"] == 1) | (both["dataset"] == "ffpp")]
    assert (
        summarize(method_subset(fakes_only, "DeepFakeDetection")).videos == 46
    )  # no originals of its own: all


def test_fast_enough_for_every_epoch():
    """FF++'s validation split at 7 frames: 5 methods, 7,500 frames."""
    big = table(np.random.default_rng(0), videos=215, frames=7, methods=("A", "B", "C", "D"))
    start = time.perf_counter()
    summarize(big)
    assert time.perf_counter() - start < 0.5


def test_every_measure_is_defined_in_the_documentation():
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(Summary):
        assert f"`{field.name}`" in page, field.name
