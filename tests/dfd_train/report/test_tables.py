"""Tables: what stands in them, and that every way of writing them is well-formed and escaped."""

import csv
import io

import html5lib
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from dfd_train.report import measures as measures_module
from dfd_train.report.measures import Measures
from dfd_train.report.table import Cell, Table, count, number, percent, words
from dfd_train.report.tables import (
    Coverage,
    evaluation_table,
    hardest_table,
    methods_in,
    methods_table,
    summary_table,
)


def column(table: Table, name: str) -> dict[str, Cell]:
    return {row[0].text: row[table.header.index(name)] for row in table.rows}


@pytest.fixture
def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for method in ("original_sequences", "Zebra", "NeuralTextures", "Deepfakes"):
        fake = method != "original_sequences"
        for number_ in range(10):
            names = f"{method}/c23/videos/{number_:03d}{'_999' * fake}.mp4"
            rows += [
                (names, method, int(fake), frame, z)
                for frame, z in enumerate(rng.normal(1.2 * fake - 0.6, 1, 4))
            ]
    return pd.DataFrame(rows, columns=["video_id", "method", "label", "frame", "logit"])


def test_evaluation_table_agrees_with_scikit_learn(predictions):
    table = evaluation_table(Measures(predictions))
    prob = 1 / (1 + np.exp(-predictions["logit"]))
    per_video = predictions.assign(prob=prob).groupby("video_id").agg(
        method=("method", "first"), label=("label", "first"), prob=("prob", "mean")
    )  # fmt: skip
    assert [row[0].text for row in table.rows] == [
        "Deepfakes",
        "NeuralTextures",
        "Zebra",
        "original_sequences",
        "Overall",
    ]
    for method in ("Deepfakes", "NeuralTextures", "Zebra", "original_sequences"):
        own = predictions["method"] == method
        videos = per_video[per_video["method"] == method]
        assert column(table, "Videos")[method].value == 10
        assert column(table, "Frames")[method].value == 40
        assert column(table, "Loss")[method].value == pytest.approx(
            sk.log_loss(predictions.loc[own, "label"], prob[own], labels=[0, 1])
        )
        assert column(table, "Video accuracy")[method].value == pytest.approx(
            ((videos["prob"] > 0.5) == videos["label"]).mean()
        )
        if method != "original_sequences":
            shared = per_video[per_video["method"].isin([method, "original_sequences"])]
            assert column(table, "AUC")[method].value == pytest.approx(
                sk.roc_auc_score(shared["label"], shared["prob"])
            )
    assert column(table, "AUC")["original_sequences"].text == "–"
    balanced = sk.balanced_accuracy_score(per_video["label"], per_video["prob"] > 0.5)
    frames = sk.accuracy_score(predictions["label"], prob > 0.5)
    assert f"balanced accuracy over videos {balanced:.2%}" in table.notes[0]
    assert f"Frame accuracy {frames:.2%}" in table.notes[0]


def test_videos_without_a_face_are_counted_and_not_scored(predictions):
    ids = predictions.drop_duplicates("video_id")[["video_id"]].assign(status="ok", multiple_faces=False)
    lost = pd.DataFrame(
        {
            "video_id": ["x", "y", "z", "w", "v"],
            "status": ["no_face", "no_face", "open_failed", None, "partial"],
            "multiple_faces": [False, False, None, None, True],
        }
    )
    coverage = Coverage.of(pd.concat([ids, lost]), predictions)
    assert (coverage.expected, coverage.scored) == (45, 40)
    assert coverage.unusable == {"no face": 2, "open failed": 1, "not done": 1, "multiple faces": 1}
    table = evaluation_table(Measures(predictions), coverage)
    assert "40 of 45 videos scored" in table.to_text()
    assert "no face 2" in table.to_text()
    assert column(table, "Videos")["Overall"].value == 40
    assert Coverage.of(ids, predictions).line() == "Coverage: all 40 videos scored."
    assert Coverage(1, 1, {}).line() == "Coverage: the only video scored."


def test_a_demonstration_says_so_everywhere(predictions):
    table = evaluation_table(Measures(predictions), demonstration=True)
    for written in (table.to_text(), table.to_latex(), table.to_html(), table.to_csv()):
        assert "demonstration model, not evidence" in written
    assert "demonstration" not in evaluation_table(Measures(predictions)).to_text()


def test_one_class_only(predictions):
    text = evaluation_table(Measures(predictions[predictions["label"] == 1])).to_text()
    assert "nan" not in text
    assert "balanced accuracy over videos –" in text


def test_a_table_without_rows_is_written(predictions, tmp_path):
    """As a set of originals has no methods: every way of writing it still has its header."""
    table = methods_table(Measures(predictions[predictions["label"] == 0]))
    assert table.rows == ()
    for path in table.write(tmp_path):
        assert "Measure" in path.read_text()


def test_originals_stand_last_and_others_between(predictions):
    assert methods_in(predictions) == ["Deepfakes", "NeuralTextures", "Zebra", "original_sequences"]


def test_hardest_are_the_largest_mean_losses(predictions):
    z, y = predictions["logit"], predictions["label"]
    loss = np.log1p(np.exp(z)) - y * z
    expected = loss.groupby(predictions["video_id"]).mean().nlargest(5)
    table = hardest_table(predictions, 5)
    assert [row[3].value for row in table.rows] == pytest.approx(list(expected))
    assert [row[2].value for row in table.rows] == [video.rsplit("/", 1)[1] for video in expected.index]


def test_summary_table_shows_intervals(predictions):
    table = summary_table(Measures(predictions))
    auc = column(table, "95 % interval")["AUC"].text
    low, high = map(float, auc.split(" to "))
    assert low < column(table, "Videos")["AUC"].value < high


def test_no_part_is_summarised_or_resampled_for_two_tables(predictions, monkeypatch):
    predictions = predictions[predictions["method"].isin(["Zebra", "original_sequences"])]
    seen = {"summarize": [], "estimate_intervals": []}
    for name, parts in seen.items():
        make = getattr(measures_module, name)
        monkeypatch.setattr(
            measures_module,
            name,
            lambda rows, *settings, make=make, parts=parts: parts.append(len(rows)) or make(rows, *settings),
        )
    measures = Measures(predictions)
    tables = (evaluation_table(measures), summary_table(measures), methods_table(measures))
    assert all(table.rows for table in tables)
    assert seen == {"summarize": [80, 40, 40], "estimate_intervals": [80]}  # all, the fakes, the originals


def test_rows_that_cannot_be_told_apart_are_not_measured(predictions):
    with pytest.raises(ValueError, match="row numbers come twice"):
        Measures(pd.concat([predictions, predictions]))


def test_each_method_is_measured_against_the_originals(predictions):
    table = methods_table(Measures(predictions))
    found = {(row[0].text, row[1].text): row[2:] for row in table.rows}
    assert len(found) == 3 * 6 and not any("original" in method for method, _ in found)
    prob = 1 / (1 + np.exp(-predictions["logit"]))
    own = predictions.assign(prob=prob)[predictions["method"].isin(["Zebra", "original_sequences"])]
    videos = own.groupby("video_id").agg(label=("label", "first"), prob=("prob", "mean"))
    for measure, expected in (("AUC", sk.roc_auc_score), ("Average precision", sk.average_precision_score)):
        of_videos, _, of_frames, _ = found["Zebra", measure]
        assert of_videos.value == pytest.approx(expected(videos["label"], videos["prob"]))
        assert of_frames.value == pytest.approx(expected(own["label"], own["prob"]))
    low, high = map(float, found["Zebra", "AUC"][1].text.split(" to "))
    assert low < found["Zebra", "AUC"][0].value < high
    assert found["Zebra", "Log loss"][0].value == pytest.approx(sk.log_loss(videos["label"], videos["prob"]))


HOSTILE = '<script>alert("x")</script> & 50%_\\{}$#~^'


@pytest.fixture
def hostile() -> Table:
    rows = (
        (words(HOSTILE), percent(0.5), number(1.25, 2, "best")),
        (words("b"), percent(float("nan")), count(1234)),
    )
    return Table(HOSTILE, ("name", HOSTILE, 'c,"d'), rows, (HOSTILE,))


def test_html_is_strict_and_escaped(hostile):
    html = hostile.to_html()
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(
        f"<!doctype html><html><head><title>t</title></head><body>{html}</body></html>"
    )
    assert not list(page.iter("script"))
    assert page.find(".//figcaption").text == HOSTILE
    assert page.find(".//tbody/tr/th").text == HOSTILE
    assert page.find(".//td[@class='best']").text == "1.25"


def test_csv_gives_values_back(hostile):
    rows = list(csv.reader(io.StringIO(hostile.to_csv())))
    assert rows == [["name", HOSTILE, 'c,"d'], [HOSTILE, "0.5", "1.25"], ["b", "", "1234"]]


def test_latex_escapes_every_special(hostile):
    latex = hostile.to_latex()
    assert r"50\%\_\textbackslash{}\{\}\$\#\textasciitilde{}\textasciicircum{}" in latex
    assert r"\textbf{1.25}" in latex and r"\par\footnotesize Bold: best." in latex
    assert latex.count(r"\begin{") == latex.count(r"\end{") == 2


def test_a_line_break_in_a_column_name():
    table = Table("t", ("name", "a & b\nsecond"), ((words("x"), count(1)),))
    assert table.to_csv().splitlines()[0] == "name,a & b second"
    assert r"\shortstack{a \& b \\ second}" in table.to_latex()
    header = table.to_text().splitlines()[2:4]
    assert header[0].split() == ["name", "a", "&", "b"]
    assert header[1].split() == ["second"]


def test_text_explains_its_marks(hostile):
    text = hostile.to_text()
    assert "1.25 *" in text
    assert "* best" in text
    assert "–" in text
    assert "1,234" in text


def test_four_files_are_written(hostile, tmp_path):
    paths = hostile.write(tmp_path / "tables")
    assert sorted(p.name for p in paths) == ["table.csv", "table.html", "table.tex", "table.txt"]
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == sorted(p.name for p in paths)
    assert (tmp_path / "tables" / "table.csv").read_bytes().decode() == hostile.to_csv()
