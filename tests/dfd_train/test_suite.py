"""evaluate --suite: sets and protocols of a TOML file in one table; what is missing is told, not chosen around."""

import csv
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import prediction
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import tomli_w
import torch
from hostile_pages import CHROMIUM, EVIL, HARMLESS, active
from safetensors.torch import save_file
from test_data_videos import FRAMES, decode, write_video

from dfd_train.cli import main
from dfd_train.engine.score import Scoring, score_videos
from dfd_train.errors import UserError
from dfd_train.metrics import estimate_intervals, summarize
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.predictions import read_predictions
from dfd_train.suite.files import SUITES, find_suite
from dfd_train.suite.plan import Suite, read_suite
from ffpp_prep.format.geometry import CropGeometry, cut_face
from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.stages import detect_boxes, extract_faces, find_landmarks, scan

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
def aligned_films(tmp_path_factory) -> Path:
    """WORK of two films of a face with its points; the stored crops aren't aligned."""
    root, head = tmp_path_factory.mktemp("films"), prediction.decode(prediction.talking_head())
    prediction.encode(root / "real.mp4", head[:2])
    prediction.encode(root / "fake.mp4", [frame[:, ::-1] for frame in head[:2]])
    (root / "t.csv").write_text("path,label,split\nreal.mp4,0,test\nfake.mp4,1,test\n")
    scan(root / "t.csv", root / "work")
    detect_boxes(root / "work", BoxSettings(detector="blazeface"))
    find_landmarks(root / "work")
    extract_faces(root / "work", CropSettings(size=64))
    return root / "work"


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
    assert "has no video of method FaceShifter in split 'test'" in told["left_out"][0]["reason"]
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


def test_crops_of_others_have_no_other_margin(sets, small_set_writer, tmp_path):
    """Where boxes took pictures as they are, a wider crop would be the same picture under another name."""
    small_set_writer(
        tmp_path / "wild", splits=("test",) * 3, detection={"threshold": 0.45, "faces": "as-is"},
        edit=lambda table: people(table, "wilddeepfake"),
    )  # fmt: skip
    file = write(
        tmp_path,
        'title = "Crops"\n[[protocols]]\nname = "stored"\nframes = 1\n[[protocols]]\nname = "wide"\nmargin = 1.0\n'
        '[[sets]]\nname = "Wild"\nwork = ["wild"]\n',
    )
    assert main(["evaluate", str(sets / "run"), "--suite", str(file), "--workers", "0"]) == 1
    told = json.loads((sets / "run/suites/own/suite.json").read_text())
    assert [one["protocol"] for one in told["sets"]] == ["stored"]
    (left,) = told["left_out"]
    assert left["protocol"] == "wide" and left["reason"].endswith("nothing is around them: no other margin")


def test_another_alignment_is_cut_from_the_videos_or_refused_in_one_line(sets, aligned_films, tmp_path):
    """By the points of `landmarks`, whatever the stored crops are; without points the set is left out."""
    shutil.copytree(aligned_films, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare/landmarks")
    shutil.copytree(aligned_films, tmp_path / "films")
    file = write(
        tmp_path,
        'title = "Aligned"\n[[protocols]]\nname = "aligned"\nframes = 2\nalign = "deepfakebench"\nsize = 48\n'
        '[[protocols]]\nname = "stored"\nframes = 2\n'
        '[[sets]]\nname = "films"\nwork = ["films"]\n[[sets]]\nname = "bare"\nwork = ["bare"]\n',
    )
    assert main(["evaluate", str(sets / "run"), "--suite", str(file), "--workers", "1"]) == 1
    told = json.loads((sets / "run/suites/own/suite.json").read_text())
    assert [(one["name"], one["protocol"], one["crops"]) for one in told["sets"]] == [
        ("films", "aligned", "margin 0.3, aligned to deepfakebench, 48 pixels"),
        ("films", "stored", "margin 0.3, 64 pixels"),
        ("bare", "stored", "margin 0.3, 64 pixels"),
    ]
    (left,) = told["left_out"]
    assert re.fullmatch(r"\S+bare has no landmarks of .* run ffpp-prep landmarks \S+bare", left["reason"])
    prepared = load_prepared(tmp_path / "films")
    found, _ = read_predictions(sets / "run/suites/own" / told["sets"][0]["predictions"])
    wanted = prepared.cut_as(CropGeometry(size=48, align="deepfakebench"), cut_face)
    detector = load_model(sets / "run", trust=prediction.TRUST).detector
    videos = prepared.videos[prepared.videos["video_id"].isin(found["video_id"])]
    for source, same in ((wanted, True), (prepared, False)):
        logits = score_videos(
            detector.network, detector.spec, source, videos, Scoring(2), device=torch.device("cpu")
        )["logit"]
        assert np.allclose(found["logit"], logits, atol=1e-4) == same


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_no_name_in_a_suite_acts(sets, tmp_path, capsys):
    """Names of the file, its sets and protocols, of a set that is not there and of one that fails."""
    one, other = f"=1+1{EVIL}", f"other {EVIL}"
    suite = {
        "title": EVIL,
        "protocols": [{"name": EVIL, "frames": 1}, {"name": other, "frames": 1, "margin": 1.0}],
        "sets": [{"name": one}, {"name": other, "work": [EVIL]}],
    }
    file = tmp_path / f"{EVIL}.toml"
    file.write_text(tomli_w.dumps(suite))
    assert main(["evaluate", str(sets / "run"), "--suite", str(file), "--workers", "0"]) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    out = next((sets / "run/suites").glob("img-src-x*"))
    page = out / "suite.html"
    assert active([page]) == {str(page): HARMLESS}
    text = page.read_text()
    assert "&lt;img src=x onerror=hacked=1&gt;" in text and "\x1b" not in text
    assert not any(line.startswith("=") for line in (out / "suite.csv").read_text().splitlines())


def test_nothing_there_is_an_error(sets, tmp_path, capsys):
    file = write(tmp_path, 'title = "None"\n[[sets]]\nname = "a"\nwork = ["gone"]\n')
    assert main(["evaluate", str(sets / "run"), "--suite", str(file)]) == 2
    assert " can be scored, such as a: no prepared set" in capsys.readouterr().err


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


def test_a_protocol_cuts_its_own_crops(sets, small_set_writer, tmp_path):
    """Another margin and another side, cut from the videos, are what the network sees."""
    write_video(tmp_path / "film.mp4")
    work = small_set_writer(
        tmp_path / "films", splits=("test",) * 2, length=FRAMES,
        edit=lambda table: table.assign(path=str(tmp_path / "film.mp4"), frames_decoded=FRAMES),
    ).work  # fmt: skip
    pts = [pts for pts, _ in decode(tmp_path / "film.mp4")]
    for part in sorted((work / "boxes").glob("videos-*.parquet")):
        ids = pq.read_table(part)["video_id"].to_pylist()
        rows = pd.DataFrame(
            {"video_id": np.repeat(sorted(ids), FRAMES), "frame": [*range(FRAMES)] * len(ids)}
        )
        rows = rows.assign(pts=pts * len(ids), face=0, score=0.9, x1=30.0, y1=20.0, x2=80.0, y2=75.0)
        types = dict.fromkeys(("x1", "y1", "x2", "y2"), np.float32) | {"frame": np.int32, "face": np.int8}
        table = pa.Table.from_pandas(rows.astype(types), preserve_index=False)
        names = table["video_id"].cast(pa.string()).dictionary_encode()
        pq.write_table(
            table.set_column(0, "video_id", names), part.with_name(part.name.replace("videos", "boxes"))
        )
    text = 'title = "x"\n[[protocols]]\nname = "wide"\nframes = 3\nmargin = 0.9\nsize = 64\n'
    file = write(tmp_path, text + '[[sets]]\nname = "films"\nwork = ["films"]\n')
    assert main(["evaluate", str(sets / "run"), "--suite", str(file), "--workers", "0"]) == 0
    (one,) = json.loads((sets / "run/suites/own/suite.json").read_text())["sets"]
    assert one["crops"] == "margin 0.9, 64 pixels"
    found, _ = read_predictions(sets / "run/suites/own" / one["predictions"])
    prepared = load_prepared(work)
    wide = prepared.cut_as(CropGeometry(margin=0.9, size=64), cut_face)
    detector = load_model(sets / "run", trust=prediction.TRUST).detector
    for source, same in ((wide, True), (prepared, False)):
        logits = score_videos(
            detector.network, detector.spec, source, prepared.videos, Scoring(3), device=torch.device("cpu")
        )["logit"]
        assert np.allclose(found["logit"], logits, atol=1e-4) == same
    page = (sets / "run/suites/own/suite.txt").read_text()
    assert "Cut otherwise than in training (margin 0.3): films." in page


def test_a_published_detector_takes_it(sets, tmp_path):
    """By its card it is known what taught it; it has no set of its own, and cuts its own crops."""
    network = timm.create_model("test_resnet", num_classes=1)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    out = tmp_path / "published"
    command = ["adopt", "timm:test_resnet", "--fake", "0", "--weights", str(tmp_path / "weights.safetensors")]
    assert main([*command, "-o", str(out)]) == 0
    file = write(
        tmp_path,
        """
        title = "Published"
        [[protocols]]
        name = "as it is"
        frames = 2
        [[protocols]]
        name = "wide"
        margin = 1.0
        [[sets]]
        name = "FF++"
        work = ["own"]
        [[sets]]
        name = "Celeb-DF"
        work = ["celebdf"]
        [[sets]]
        name = "what trained"
        work = ["own"]
        split = "val"
        [[sets]]
        name = "no folder"
        """,
    )
    command = ["evaluate", str(out), "--suite", str(file), "--root", str(sets), "--workers", "0"]
    for said, standings in (("", ["unknown"] * 3), ("ffpp", ["in-set", "cross-set", "seen"])):
        taught = f'\ntrained_on = ["FaceForensics++"]\nknown_as = ["{said}"]' if said else ""
        card = (out / "detector.toml").read_text()
        (out / "detector.toml").write_text(card.replace('name = "published"', f'name = "published"{taught}'))
        assert main(command) == 1
        told = json.loads((out / "suites/own/suite.json").read_text())
        assert [one["standing"] for one in told["sets"]] == standings
        reasons = {(one["name"], one["protocol"]): one["reason"] for one in told["left_out"]}
        assert "cuts crops of its own" in reasons["FF++", "wide"] and len(reasons) == 5
        assert "no folder is named" in reasons["no folder", "as it is"]
        assert "Licence" in (out / "suites/own/suite.html").read_text()
