"""DeepfakeBench's numbers by scikit-learn, on its own test sets; what it doesn't pool stays apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from dfd_train.errors import UserError
from dfd_train.metrics.benchmark import FFPP, benchmark_sets
from dfd_train.report.protocol import protocol_table


@pytest.fixture
def predictions() -> pd.DataFrame:
    """FaceForensics++ with FaceShifter, DeepFakeDetection and Celeb-DF; names as there: all methods' fakes alike."""
    rng = np.random.default_rng(1)
    rows = []
    for dataset, methods in (
        ("ffpp", (*FFPP, "FaceShifter")),
        ("dfd", ("DeepFakeDetection",)),
        ("celebdf", ("x",)),
    ):
        for method in ("original_sequences", *methods):
            fake = method != "original_sequences"
            for person in range(10):
                name = f"{dataset}/{method}/c23/videos/{person:03d}{'_999' * fake}.mp4"
                logits = rng.normal(1.2 * fake - 0.6, 1, 4)
                rows += [
                    (name, dataset, method, "c23", int(fake), frame, z) for frame, z in enumerate(logits)
                ]
    return pd.DataFrame(
        rows, columns=["video_id", "dataset", "method", "compression", "label", "frame", "logit"]
    )


def rows_of(predictions: pd.DataFrame) -> dict[tuple[str, str], list[float]]:
    return {
        (row[0].text, row[1].text.partition(" (")[0]): [cell.value for cell in row[2:]]
        for row in protocol_table(predictions).rows
    }


def test_each_test_set_by_its_own_measures(predictions: pd.DataFrame) -> None:
    found = rows_of(predictions)
    sets = {"FaceForensics++": 50, "FF-DF": 20, "FF-F2F": 20, "FF-FS": 20, "FF-NT": 20, "FaceShifter": 20}
    sets |= {"DeepFakeDetection": 20, "celebdf": 20}
    assert {name: found[name, "Videos, names"][0] for name, _ in found} == sets
    assert {name: found[name, "Videos, names"][1] for name, _ in found} == dict.fromkeys(sets, 20)
    measures = {measure for _, measure in found}
    assert (
        not any("accuracy" in measure and "Frame" not in measure for measure in measures)
        and len(measures) == 6
    )
    own = predictions[
        predictions["method"].isin([*FFPP, "original_sequences"]) & (predictions["dataset"] == "ffpp")
    ]
    label, prob = own["label"], 1 / (1 + np.exp(-own["logit"]))
    alarm, hit, _ = sk.roc_curve(label, prob)
    stem = own["video_id"].str.extract(r"videos/(.*)\.mp4")[0]
    merged = own.assign(prob=prob).groupby(stem).agg(label=("label", "mean"), prob=("prob", "mean"))
    theirs = {
        "Frame accuracy": sk.accuracy_score(label, prob > 0.5),
        "Frame AUC": sk.auc(alarm, hit),
        "Frame equal error rate": alarm[np.argmin(np.abs(1 - hit - alarm))],
        "Frame average precision": sk.average_precision_score(label, prob),
        "Video AUC": sk.roc_auc_score(merged["label"].astype(int), merged["prob"]),
    }
    assert {m: found["FaceForensics++", m][1] for m in theirs} == pytest.approx(theirs)
    ours = own.assign(prob=prob).groupby("video_id").agg(label=("label", "first"), prob=("prob", "mean"))
    assert found["FaceForensics++", "Video AUC"][0] == pytest.approx(
        sk.roc_auc_score(ours["label"], ours["prob"])
    )


def test_other_methods_do_not_pool_under_a_bare_name(predictions: pd.DataFrame) -> None:
    before = rows_of(predictions)
    worse = predictions.assign(
        logit=predictions["logit"].where(
            ~predictions["method"].isin(["FaceShifter", "DeepFakeDetection"]), -9.0
        )
    )
    after = rows_of(worse)
    changed = {name for name, measure in before if before[name, measure] != after[name, measure]}
    assert changed == {"FaceShifter", "DeepFakeDetection"}
    three = predictions[predictions["method"] != "FaceSwap"]
    assert "FaceForensics++" not in benchmark_sets(three) and "FF-DF" in benchmark_sets(three)


def test_mixed_compressions_are_refused(predictions: pd.DataFrame) -> None:
    fakes = (predictions["dataset"] == "dfd") & (predictions["label"] == 1)
    mixed = predictions.assign(compression=predictions["compression"].mask(fakes, "c40"))
    with pytest.raises(
        UserError, match="DeepFakeDetection has videos of c23 and c40; the benchmark scores one"
    ):
        benchmark_sets(mixed)
    one_each = predictions.assign(
        compression=predictions["compression"].mask(predictions["dataset"] == "dfd", "c40")
    )
    assert set(benchmark_sets(one_each)) == set(benchmark_sets(predictions))
    assert benchmark_sets(predictions.assign(compression=None)).keys() == benchmark_sets(predictions).keys()


def test_frames_are_counted(predictions: pd.DataFrame) -> None:
    assert ": up to 32 frames a video (here 4 on average) from the" in protocol_table(predictions).notes[0]
    whole = pd.concat([predictions.assign(frame=predictions["frame"] + 4 * n) for n in range(8)])
    assert ": 32 frames a video from the first to the last" in protocol_table(whole).notes[0]
