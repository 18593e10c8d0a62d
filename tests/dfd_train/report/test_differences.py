"""Comparisons by test: paired differences, stars, seeds, other people's scores, unequal test sets."""

import csv
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from dfd_train.cli import main
from dfd_train.metrics import summarize
from dfd_train.metrics.paired import difference, holm, judged_videos
from dfd_train.report.across import results_table
from dfd_train.report.compare import Others, compare_runs
from dfd_train.report.differences import differences_table, marks_by_test
from dfd_train.report.others import read_scores
from dfd_train.report.run import Predictions, read_run
from dfd_train.report.seeds import recipes, seeds_table
from dfd_train.runs.predictions import write_predictions

TEST = ("test",)
MEASURES = ("video_auc", "balanced_accuracy", "video_accuracy", "log_loss", "loss")


def two_detectors(seed=0, videos=60, people=20, gap=0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two detectors that see the same people; the first is better by `gap` on the logit scale."""
    random = np.random.default_rng(seed)
    person = np.arange(videos) % people
    label = (np.arange(videos) // people + person) % 2
    shared = random.normal(0, 1, people)[person] * label + random.normal(0, 1, videos)
    found = []
    for more in (gap, 0.0):
        logit = (1.2 + more) * (2 * label - 1) / 2 + shared / 2 + random.normal(0, 0.7, videos)
        table = {
            "video_id": [f"{n}.mp4" for n in range(videos)],
            "dataset": "d",
            "target_id": person.astype(str),
        }
        table |= {"method": np.where(label, "m", "original_sequences"), "label": label, "logit": logit}
        found.append(pd.DataFrame(table))
    return found[0], found[1]


def test_difference_of_two_areas_is_delongs_where_nobody_is_linked():
    """By loops over pairs, as DeLong et al. write it, each video being a person of its own."""
    first, second = two_detectors(people=60, gap=0.5)
    found = difference(judged_videos(first), judged_videos(second), "video_auc")
    won = []
    for table in (first, second):
        logit, label = table["logit"].to_numpy(), table["label"].to_numpy()
        won.append(np.array([[float(f > r) for r in logit[label == 0]] for f in logit[label == 1]]))
    assert found.value == pytest.approx(won[0].mean() - won[1].mean())
    of_fakes = np.cov(won[0].mean(1), won[1].mean(1), ddof=1) / won[0].shape[0]
    of_reals = np.cov(won[0].mean(0), won[1].mean(0), ddof=1) / won[0].shape[1]
    both = of_fakes + of_reals
    error = math.sqrt(both[0, 0] + both[1, 1] - 2 * both[0, 1])
    reach = stats.t.ppf(0.975, 29) * error
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.value) / error, 29))


def test_differences_of_means_are_a_paired_t_test_on_people():
    first, second = two_detectors(gap=1.0)
    losses = [judged_videos(table) for table in (first, second)]
    found = difference(*losses, "loss")
    person = first["target_id"]
    gaps = (losses[0]["loss"] - losses[1]["loss"]).groupby(person.to_numpy()).mean()  # three videos a person
    expected = stats.ttest_1samp(gaps, 0.0)
    assert found.value == pytest.approx(gaps.mean()) and found.value < 0
    # one person has two fakes, the next one: twenty people are worth 18
    assert found.evidence.worth == pytest.approx(18.0)
    at_18 = 2 * stats.t.sf(abs(expected.statistic), found.evidence.worth - 1)
    assert found.p == pytest.approx(at_18, rel=0.25)  # fakes and reals have factors of their own
    for measure in MEASURES:
        one = difference(*losses, measure)
        assert one.first == pytest.approx(getattr(summarize(first), measure))
        assert one.second == pytest.approx(getattr(summarize(second), measure))
        assert one.low < one.value < one.high
        turned = difference(*losses[::-1], measure)
        assert (turned.value, turned.p) == pytest.approx((-one.value, one.p))


def test_order_and_further_videos_do_not_matter():
    first, second = (judged_videos(table) for table in two_detectors(gap=0.5))
    expected = difference(first, second, "video_auc")
    more = second.iloc[:3].assign(video_id=["x", "y", "z"])
    shuffled = pd.concat([second, more]).sample(frac=1, random_state=1)
    found = difference(first, shuffled, "video_auc")
    assert (found.value, found.low, found.p) == pytest.approx((expected.value, expected.low, expected.p))
    assert found.evidence == expected.evidence
    with pytest.raises(ValueError, match=r"no video was scored by both"):
        difference(first, more, "video_auc")
    with pytest.raises(ValueError, match=r"0\.mp4 is labelled real by one and fake by the other"):
        difference(first, second.assign(label=1 - second["label"]), "video_auc")


def test_nothing_differs_and_everything_differs():
    first, _ = two_detectors()
    same = difference(judged_videos(first), judged_videos(first), "video_auc")
    assert (same.value, same.p) == (0.0, 1.0) and math.isnan(same.low)
    perfect = first.assign(logit=2.0 * first["label"] - 1)
    turned = difference(
        judged_videos(perfect), judged_videos(first.assign(logit=-perfect["logit"])), "video_auc"
    )
    assert turned.value == 1.0 and math.isnan(turned.low)
    assert turned.p == pytest.approx(2.0**-19)  # twenty people who all say the same
    few = first[first["target_id"].isin(list("0123"))]
    assert math.isnan(difference(judged_videos(few), judged_videos(few), "video_auc").p)


def test_no_interval_is_of_more_than_two_shares_can_differ():
    """Seen: an accuracy lower by 1.12 to 0.08."""
    label = np.arange(10) % 2
    videos = judged_videos(
        pd.DataFrame({"video_id": [f"{i}.mp4" for i in range(10)], "label": label, "logit": 2.0 * label - 1})
    )
    wrong = np.isin(np.arange(10), (0, 1, 2, 3, 4, 5))
    other = videos.assign(prob=np.where(wrong, 1 - videos["prob"], videos["prob"]))
    for measure in ("video_accuracy", "balanced_accuracy"):
        found = difference(other, videos, measure)
        assert found.value == pytest.approx(-0.6) and found.low == -1.0 < found.value < found.high < 0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([0.6, float("nan"), 0.7])
    assert corrected[0] == corrected[2] == 1.0 and math.isnan(corrected[1])


def test_a_star_needs_a_test(make_run):
    """Noise of 0.05 on the logits decides who is ahead, and no star follows."""
    run = make_run("a", splits=TEST)
    frames = pd.read_parquet(run / "predictions-test.parquet")
    noise = np.random.default_rng(0).normal(0, 0.05, len(frames))
    other = make_run("b", splits=TEST)
    write_predictions(other / "predictions-test.parquet", frames.assign(logit=frames["logit"] + noise), {})
    runs = [read_run(run), read_run(other)]
    for measure in ("loss", "video_accuracy", "video_auc"):
        table = results_table(runs, "test", measure)
        assert not any(cell.mark for row in table.rows for cell in row), measure
    shown = differences_table(runs, "test")
    assert {row[-1].text for row in shown.rows} == {"no difference shown"}
    bad = [
        read_run(make_run("good", splits=TEST, skill=3.0)),
        read_run(make_run("bad", splits=TEST, skill=-1.0, seed=1)),
    ]
    assert any(cell.mark for row in results_table(bad, "test", "loss").rows for cell in row)
    assert "good is better" in differences_table(bad, "test").to_text()


def test_the_best_must_beat_each_of_the_others():
    first, second = (judged_videos(table) for table in two_detectors(gap=3.0))
    tables = [first, second, first.assign(key=first["key"] + 1e-9)]
    values = [difference(table, second, "video_auc").first for table in tables]

    def marks(values, videos):
        return marks_by_test({"Overall": values}, videos, "video_auc")["Overall"]

    assert marks(values[:2], tables[:2]) == ["best", ""]
    assert marks(values, tables) == ["", "", ""]
    assert marks([values[0], float("nan")], tables[:2]) == ["", ""]
    assert marks(values[:2], [first, second[:40]]) == ["", ""]


@pytest.mark.full
def test_stars_are_rare_where_nothing_differs():
    """Twelve methods and two detectors that differ by chance only: of 100 such tables about five may have a star."""
    starred = 0
    for seed in range(100):
        found = [two_detectors(seed=100 * seed + number, videos=40) for number in range(12)]
        tables = [
            judged_videos(
                pd.concat(
                    [
                        pair[detector].assign(
                            method=f"m{number}", video_id=f"m{number}/" + pair[detector]["video_id"]
                        )
                        for number, pair in enumerate(found)
                    ]
                )
            )
            for detector in range(2)
        ]
        losses = [table.groupby("method")["loss"].mean() for table in tables]
        rows = {f"m{number}": [each[f"m{number}"] for each in losses] for number in range(12)}
        marks = marks_by_test(rows, tables, "loss")
        starred += any(mark for row in marks.values() for mark in row)
    assert starred <= stats.binom.ppf(0.999, 100, 0.05)


def test_seeds_of_one_recipe(make_run, tmp_path, undrawn):
    runs = [
        make_run("one", splits=TEST, seed=1),
        make_run("two", splits=TEST, seed=2),
        make_run("other", splits=TEST, seed=3, optimizer="sgd"),
    ]
    read = [read_run(run) for run in runs]
    assert [[run.name for run in same] for same in recipes(read)] == [["one", "two"]]
    assert recipes([read[0], read[2]]) == []
    table = seeds_table(read, "test")
    aucs = [summarize(pd.read_parquet(run / "predictions-test.parquet")).video_auc for run in runs[:2]]
    assert (table.rows[0][2].value, table.rows[0][3].value) == pytest.approx(
        (np.mean(aucs), np.std(aucs, ddof=1))
    )
    compare_runs(runs, tmp_path)
    assert (tmp_path / "tables" / "seeds-test.csv").is_file()


def cut(run, keep):
    """Leave only the first so many videos in a run's test predictions."""
    frames = pd.read_parquet(run / "predictions-test.parquet")
    ids = list(dict.fromkeys(frames["video_id"]))
    write_predictions(run / "predictions-test.parquet", frames[frames["video_id"].isin(ids[:keep])], {})
    return ids


def test_unequal_test_sets_are_refused(make_run, tmp_path, capsys, undrawn):
    runs = [make_run("whole", splits=TEST), make_run("part", splits=TEST, seed=1)]
    ids = cut(runs[1], 28)
    with pytest.raises(ValueError, match=rf"test: .*whole {len(ids)}, part 28; 28 in all.*--common"):
        compare_runs(runs, tmp_path)
    assert not list(tmp_path.iterdir())
    assert main(["compare", *map(str, runs), "--out", str(tmp_path), "--common"]) == 0
    said = "test: numbers are over the 28 videos that all scored (whole scored 53, part scored 28)."
    assert said in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "tables" / "measures-test.csv").open(encoding="utf-8")))
    assert [row["Videos"] for row in rows] == ["28", "28"]
    frames = pd.read_parquet(runs[1] / "predictions-test.parquet")
    write_predictions(runs[1] / "predictions-test.parquet", frames.assign(label=1), {})
    with pytest.raises(ValueError, match="is real in one and fake in another"):
        compare_runs(runs, tmp_path, common=True)


def test_sets_that_share_no_video_stand_apart(make_run, tmp_path, undrawn):
    runs = [make_run("here", splits=TEST), make_run("there", splits=TEST, seed=1)]
    frames = pd.read_parquet(runs[1] / "predictions-test.parquet")
    write_predictions(
        runs[1] / "predictions-test.parquet", frames.assign(video_id="x/" + frames["video_id"]), {}
    )
    found = compare_runs(runs, tmp_path, common=True)
    assert "no video was scored by all" in found.notes[0]
    assert not list((tmp_path / "tables").glob("measures-*"))
    assert (tmp_path / "tables" / "matrix-video-auc.csv").is_file()


def scores_of(run, shift=0.0) -> pd.DataFrame:
    """A run's video scores as somebody else would hand them in."""
    videos = judged_videos(pd.read_parquet(run / "predictions-test.parquet"))
    return pd.DataFrame({"video_id": videos["video_id"], "score": (videos["prob"] + shift).clip(0, 1)})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_other_peoples_scores(make_run, tmp_path, ending, undrawn):
    """The same scores, handed in as a table, have the same measures, and no difference."""
    run, file = make_run("ours", splits=TEST), tmp_path / f"theirs.{ending}"
    table = scores_of(run)
    table.to_csv(file, index=False) if ending == "csv" else table.to_parquet(file)
    found = compare_runs([run], tmp_path / "out", others=Others({"theirs": file}))
    assert found.notes[0] == f"theirs: {file.name} scores 53 of 53 videos."
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "measures-test.csv").open(encoding="utf-8")))
    assert [row["Run"] for row in rows] == ["ours", "theirs"]
    for column in ("AUC", "AUC low", "AUC high", "Balanced accuracy", "Log loss"):
        assert float(rows[0][column]) == pytest.approx(float(rows[1][column])), column
    assert "no difference shown" in found.text and "is better" not in found.text


def test_scores_of_frames_are_averaged(make_run, tmp_path, undrawn):
    run, file = make_run("ours", splits=TEST), tmp_path / "frames.csv"
    frames = pd.read_parquet(run / "predictions-test.parquet")
    table = frames.assign(score=1 / (1 + np.exp(-frames["logit"].astype(float))))
    table[["video_id", "frame", "score"]].to_csv(file, index=False)
    compare_runs([run], tmp_path / "out", others=Others({"theirs": file}))
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "measures-test.csv").open(encoding="utf-8")))
    assert float(rows[0]["Frame accuracy"]) == float(rows[1]["Frame accuracy"])
    assert float(rows[0]["AUC"]) == pytest.approx(float(rows[1]["AUC"]))


def test_missing_scores(make_run, tmp_path, undrawn):
    run, file = make_run("ours", splits=TEST), tmp_path / "theirs.csv"
    table = scores_of(run)
    table.loc[3, "score"] = np.nan  # an empty score is none
    extra = pd.DataFrame({"video_id": ["elsewhere.mp4"], "score": [0.2]})
    pd.concat([table[:-10], extra]).to_csv(file, index=False)
    with pytest.raises(
        ValueError, match=r"no score of 11 of 53 videos, such as .*--missing as-real, as-fake or"
    ):
        compare_runs([run], tmp_path / "out", others=Others({"theirs": file}))
    shown = {}
    for missing, score in (("as-real", 0.0), ("as-fake", 1.0), ("as-chance", 0.5)):
        found = compare_runs([run], tmp_path / missing, others=Others({"theirs": file}, missing))
        assert found.notes[0].endswith(
            f"scores 42 of 53 videos, the others count {missing.replace('-', ' ')}."
        )
        rows = list(
            csv.DictReader((tmp_path / missing / "tables" / "measures-test.csv").open(encoding="utf-8"))
        )
        shown[missing] = float(rows[1]["AUC"])
        filled = table["score"].copy()
        filled[[3, *range(len(table) - 10, len(table))]] = score
        label = judged_videos(pd.read_parquet(run / "predictions-test.parquet"))["label"]
        assert shown[missing] == pytest.approx(sk.roc_auc_score(label, filled))
    assert len(set(shown.values())) == 3
    found = compare_runs([run], tmp_path / "common", others=Others({"theirs": file}), common=True)
    assert "test: numbers are over the 42 videos that all scored" in found.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("video,score\na,1\n", "lacks the column 'video_id'; there are"),
        ("video_id,score\nnobody.mp4,0.5\n", "has no score of any video of test, which has 53"),
        (
            "video_id,score\na,1.5\n",
            r"the score of a is 1\.5, must be between 0 .real. and 1; of a logit",
        ),
        ("video_id,score\na,fake\n", "the score of a is 'fake', must be between 0"),
        (
            "video_id,score\na,0.5\na,0.6\n",
            "has two rows of a; several of one video need a column 'frame'; a video_id is",
        ),
        ("video_id,score,frame\na,0.5,1\na,0.6,1\n", "has two rows of a 1"),
        ("video_id,score,score\na,0.5,0.6\n", r"has two columns 'score'; which one counts\?"),
        ("video_id,score\na,NA\nNA,NA\nNA,NA\n", "has two rows of NA"),
        ("", "can't be read as a table"),
        ('video_id,score\n"a,0.5\n', "can't be read as a table"),
    ],
)
def test_scores_that_do_not_fit_are_one_line(make_run, tmp_path, capsys, content, words):
    file = tmp_path / "theirs.csv"
    file.write_text(content)
    command = ["compare", str(make_run("ours", splits=TEST)), "--out", str(tmp_path / "out")]
    assert main([*command, "--scores", f"theirs={file}"]) == 2
    error = capsys.readouterr().err
    assert re.search(words, error) and "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("score ", [0.5, 0.5], r"has two columns 'score'; which one counts\?$"),
        (
            "score",
            [[0.5], [0.5]],
            r"the score of a\.mp4 is array\(\[0\.5\]\), must be between 0 \(real\) and 1",
        ),
    ],
)
def test_odd_columns_of_parquet_are_one_line(tmp_path, column, values, words):
    """Seen: tracebacks."""
    path = tmp_path / "scores.parquet"
    pd.DataFrame({"video_id": ["a.mp4", "b.mp4"], "score": [0.1, 0.2]} | {column: values}).to_parquet(path)
    videos = pd.DataFrame({"video_id": ["a.mp4", "b.mp4"], "label": [0, 1], "logit": 0.0})
    with pytest.raises(ValueError, match=words):
        read_scores("mine", path, Predictions("test", videos, {}))


def test_names_of_scores(make_run, tmp_path, capsys):
    run, file = make_run("ours", splits=TEST), tmp_path / "theirs.csv"
    scores_of(run).to_csv(file, index=False)
    command = ["compare", str(run), "--out", str(tmp_path / "out")]
    for arguments, words in (
        (["--scores", f"ours={file}"], "a run has this name"),
        (["--scores", f"a={file}", "--scores", f"a={file}"], "two files have one name"),
        (["--scores", str(file)], "is not NAME=FILE"),
        (["--scores", f"a={tmp_path / 'none.csv'}"], "none.csv"),
    ):
        assert _status([*command, *arguments]) == 2
        assert words in capsys.readouterr().err


def _status(command) -> int:
    """The exit status, also where argparse ends the program."""
    try:
        return main(command)
    except SystemExit as end:
        return int(end.code)
