"""evaluate --suite: sets and protocols of a TOML file in one table; what is missing is told, not chosen around."""

import csv
import json
import math
import re
from pathlib import Path

import pandas as pd
import prediction
import pytest

from dfd_train.cli import main
from dfd_train.errors import UserError
from dfd_train.metrics import estimate_intervals, summarize
from dfd_train.runs.predictions import read_predictions
from dfd_train.suite.files import SUITES, find_suite
from dfd_train.suite.plan import Suite, read_suite

SUITE = """
title = "Own and other"

[[protocols]]
name = "four frames"
frames = 4

[[protocols]]
name = "median of two"
frames = 2
aggregation = "median"
threshold = "validation"

[[sets]]
name = "Own"

[[sets]]
name = "Celeb-DF"
work = ["nowhere", "celebdf"]
datasets = ["celebdf"]

[[sets]]
name = "WildDeepfake"
work = ["wild"]
"""


def people(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Other videos of other people, of another data set; the last one has no face."""
    table = table.assign(dataset=dataset, split="test", video_id=dataset + "/" + table["video_id"])
    table["path"] = "/nowhere/" + table["video_id"]
    table["original_id"] = dataset + "/" + table["original_id"]
    table.loc[table.index[-1], "status"] = "no_face"
    return table


@pytest.fixture(scope="module")
def sets(small_set_writer, tmp_path_factory) -> Path:
    """A folder with a run's set, a run, two other sets, and a suite."""
    folder = tmp_path_factory.mktemp("sets")
    own = small_set_writer(folder / "own", splits=("train",) * 3 + ("val",) * 2 + ("test",) * 6)
    small_set_writer(folder / "celebdf", splits=("test",) * 7, edit=lambda table: people(table, "celebdf"))
    prediction.train(own.work, folder / "run")
    (folder / "suite.toml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def result(sets) -> dict:
    """suite.json of the run on that suite."""
    assert main(["evaluate", str(sets / "run"), "--suite", str(sets / "suite.toml"), "--workers", "0"]) == 0
    return json.loads((sets / "run/suites/suite/suite.json").read_text())


def test_every_set_by_every_protocol(sets, result):
    assert [(one["name"], one["protocol"], one["standing"]) for one in result["sets"]] == [
        ("Own", "four frames", "in-set"),
        ("Own", "median of two", "in-set"),
        ("Celeb-DF", "four frames", "cross-set"),
        ("Celeb-DF", "median of two", "cross-set"),
    ]
    celeb = result["sets"][2]
    assert (celeb["videos"], celeb["scored"], celeb["unusable"]) == (21, 20, {"no face": 1})
    for one, frames, aggregation in ((celeb, 4, "mean"), (result["sets"][3], 2, "median")):
        table, facts = read_predictions(sets / "run/suites/suite" / one["predictions"])
        assert (table.groupby("video_id").size() == frames).all() and facts["checkpoint"] == "best"
        expected = summarize(table, aggregation, one["threshold"])
        assert one["measures"]["video_auc"] == pytest.approx(expected.video_auc)
        ends = estimate_intervals(table, aggregation, one["threshold"])
        assert one["low"]["video_auc"] == pytest.approx(ends.low.video_auc)
    assert celeb["threshold"] == 0.5


def test_what_is_not_there_is_told(sets, result):
    assert [(one["name"], one["missing"]) for one in result["left_out"]] == [("WildDeepfake", True)] * 2
    assert "no prepared set" in result["left_out"][0]["reason"]
    for ending in ("html", "txt"):
        page = (sets / f"run/suites/suite/suite.{ending}").read_text()
        assert "Not on the disk, so in no mean: WildDeepfake" in page
        assert "Nothing was chosen on these videos" in page


def test_means_stand_below_the_sets(sets, result):
    """Means as plain arithmetic of the rows, each set alike."""
    rows = {(one["protocol"], one["standing"]): one["measures"] for one in result["sets"]}
    found = {(one["protocol"], one["kind"]): one for one in result["means"]}
    for protocol in ("four frames", "median of two"):
        own, other = (rows[protocol, kind] for kind in ("in-set", "cross-set"))
        both = found[protocol, "all"]
        assert both["sets"] == 2 and both["auc"] == pytest.approx((own["video_auc"] + other["video_auc"]) / 2)
        assert both["eer"] == pytest.approx((own["eer"] + other["eer"]) / 2)
        assert found[protocol, "cross-set"]["auc"] == pytest.approx(other["video_auc"])
        low = [one["low"]["video_auc"] for one in result["sets"] if one["protocol"] == protocol]
        down = math.hypot(own["video_auc"] - low[0], other["video_auc"] - low[1]) / 2
        assert both["auc_interval"]["low"] == pytest.approx(both["auc"] - down)
    with (sets / "run/suites/suite/suite.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["Set"] for line in lines] == [
        *("Own", "Celeb-DF", "Mean of 2 sets"),
    ] * 2
    assert float(lines[1]["Coverage"]) == pytest.approx(20 / 21)
    assert float(lines[1]["AUC low"]) <= float(lines[1]["AUC"]) <= float(lines[1]["AUC high"])


def test_what_is_scored_is_kept(sets, result, monkeypatch):
    """The same command again scores nothing; with other protocols only those."""

    def score(*_args, **_kwargs):
        raise AssertionError("scored again")

    monkeypatch.setattr("dfd_train.suite.score.score_videos", score)
    command = ["evaluate", str(sets / "run"), "--suite", str(sets / "suite.toml"), "--workers", "0"]
    assert main(command) == 0
    assert json.loads((sets / "run/suites/suite/suite.json").read_text()) == result


def write(folder: Path, text: str) -> Path:
    (folder / "own.toml").write_text(text)
    return folder / "own.toml"


def test_parts_of_a_set_and_videos_that_trained(sets, tmp_path, capsys):
    file = write(
        tmp_path,
        """
        title = "Parts"
        [[sets]]
        name = "one method"
        methods = ["Deepfakes"]
        [[sets]]
        name = "everything"
        split = "all"
        [[sets]]
        name = "no such method"
        methods = ["FaceShifter"]
        [[sets]]
        name = "of another origin"
        work = ["gone"]
        """,
    )
    command = ["evaluate", str(sets / "run"), "--suite", str(file), "--root", str(sets), "--workers", "0"]
    assert main(command) == 0
    told = json.loads((sets / "run/suites/own/suite.json").read_text())
    one, everything = told["sets"]
    frames, _ = read_predictions(sets / "run/suites/own" / one["predictions"])
    assert set(frames["method"]) == {"Deepfakes", "original_sequences"}
    assert everything["standing"] == "seen" and one["standing"] == "in-set"
    assert [mean["sets"] for mean in told["means"]] == [1, 1]  # what it has seen counts in none
    assert "has no video of method FaceShifter" in told["left_out"][0]["reason"]
    assert "no prepared set" in told["left_out"][1]["reason"]  # its own set is not taken for any other
    assert "some of these very videos trained the model" in capsys.readouterr().out


def test_a_set_that_fails_ends_nothing(sets, tmp_path):
    """Another margin needs the videos, which are not there: status 1, and the other set has its numbers."""
    file = write(
        tmp_path,
        'title = "Margins"\n[[protocols]]\nname = "stored"\n[[protocols]]\nname = "wide"\nmargin = 1.0\n'
        '[[sets]]\nname = "Own"\n',
    )
    assert main(["evaluate", str(sets / "run"), "--suite", str(file), "--workers", "0"]) == 1
    told = json.loads((sets / "run/suites/own/suite.json").read_text())
    assert [one["protocol"] for one in told["sets"]] == ["stored"]
    assert [(one["protocol"], one["missing"]) for one in told["left_out"]] == [("wide", False)]


def test_nothing_there_is_an_error(sets, tmp_path, capsys):
    file = write(tmp_path, 'title = "None"\n[[sets]]\nname = "a"\nwork = ["gone"]\n')
    assert main(["evaluate", str(sets / "run"), "--suite", str(file)]) == 2
    assert "none of the 1 sets can be scored, such as a: no prepared set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "fields"], "no such suite: fields; did you mean field?"),
        (["--suite", "field", "--frames", "3"], "the suite's file says what --frames would say"),
        (["--root", "x"], "--root x: is for --suite"),
    ],
)
def test_wrong_flags(sets, capsys, arguments, said):
    assert main(["evaluate", str(sets / "run"), *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "x"\nsets = []\n', "sets=[]: must be one or more"),
        (
            'title = "x"\n[[sets]]\nname = "a"\n[[sets]]\nname = "A"\n',
            "sets=a, A: must be of different names",
        ),
        ('title = "x"\n[[sets]]\nname = "a"\nworks = ["b"]\n', "unknown 'works'; did you mean work?"),
        ('title = "x"\n[[sets]]\nname = "a"\nsplit = "tset"\n', "Invalid enum value 'tset'"),
        ('title = "x"\n[[protocols]]\nname = "p"\nframes = 0\n[[sets]]\nname = "a"\n', "frames"),
    ],
)
def test_wrong_suites_are_refused_by_name(tmp_path, text, said):
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        read_suite(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", sorted(SUITES.glob("*.toml")), ids=lambda file: file.stem)
def test_suites_of_the_package(file):
    suite: Suite = read_suite(find_suite(Path(file.stem)))
    assert file.read_text().startswith("# ") and suite.sets
    if file.stem != "ffpp-methods":
        assert [one.name for one in suite.sets] == [
            "FaceForensics++", "Celeb-DF v2", "DFD", "DFDC", "DFDCP", "WildDeepfake", "FFIW", "DF40",
        ]  # fmt: skip
