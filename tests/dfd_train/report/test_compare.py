"""Comparisons: our numbers in the thesis's tables, overlaps, the matrix, and files that hold together."""

import csv
import html
import json
import math
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import html5lib
import pandas as pd
import pytest
from sklearn import metrics as sk

from dfd_train.cli import main
from dfd_train.data.overlap import identity_overlap
from dfd_train.report import measures, works
from dfd_train.report.across import (
    hardest_side_by_side,
    hardest_table,
    matrix_table,
    overlap_table,
    results_table,
    sizes_table,
)
from dfd_train.report.compare import compare_runs
from dfd_train.report.run import read_run
from dfd_train.report.sizes import model_size
from dfd_train.report.thesis import thesis_tables
from dfd_train.runs.predictions import write_predictions


def texts(table):
    return {
        row[0].text: {name: cell for name, cell in zip(table.header, row, strict=True)} for row in table.rows
    }


def named(tables, slug):
    return next(table for table in tables if table.slug == slug)


@dataclass(frozen=True)
class Compared:
    """A comparison of two runs with the thesis, whose set has no readable crops.

    opened: sets, as often as each was. rows: what was summarised or resampled, by the name of what did it.
    """

    out: Path
    files: tuple[Path, ...]
    work: Path
    opened: list[Path]
    rows: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def compared(make_run, work, tmp_path_factory) -> Compared:
    folder = tmp_path_factory.mktemp("compared")
    opened, seen = [], {}
    read = works.read_prepared_videos
    bare = folder / "bare"
    shutil.copytree(work, bare)
    (bare / "faces" / "manifest.json").write_text("not even JSON")
    runs = [make_run("a"), make_run("b", model="reseption_v2", seed=1, skill=0.5)]
    for run in runs:
        config = (run / "config.toml").read_text()
        (run / "config.toml").write_text(config.replace(str(work), str(bare)))
    with pytest.MonkeyPatch.context() as patch:

        def counted(name):
            make = getattr(measures, name)

            def count(rows, *settings):
                seen.setdefault(name, []).append(pd.util.hash_pandas_object(rows).to_numpy().tobytes())
                return make(rows, *settings)

            patch.setattr(measures, name, count)

        for name in ("summarize", "judged_videos", "estimate_intervals"):
            counted(name)
        patch.setattr(works, "read_prepared_videos", lambda path: opened.append(path) or read(path))
        files = compare_runs(runs, folder / "out", "thesis").files
    return Compared(folder / "out", files, bare, opened, seen)


def test_each_set_is_opened_once_and_none_of_its_crops(compared):
    assert compared.opened == [compared.work]
    assert "–" not in (compared.out / "tables" / "overlap.txt").read_text()


def test_no_rows_are_summarised_or_resampled_twice(compared):
    twice = {name: len(rows) - len(set(rows)) for name, rows in compared.rows.items()}
    assert twice == {"summarize": 0, "judged_videos": 0, "estimate_intervals": 0}


def test_pretrained_weights_are_named(make_run):
    plain, begun = make_run("plain"), make_run("begun", model="xception")
    log = begun / "events.jsonl"
    start = {"event": "start", "network": "legacy_xception.tf_in1k", "weights_sha256": "ab" * 32}
    log.write_text("\n".join([json.dumps(start), *log.read_text().splitlines()[1:]]) + "\n")
    rows = texts(sizes_table([read_run(plain), read_run(begun)], [None, None]))
    assert rows["begun"]["Begins with"].text == f"legacy_xception.tf_in1k, {'ab' * 6}"
    assert rows["plain"]["Begins with"].text == "–"


def test_files_and_page(compared):
    files = compared.files
    assert files[0].name == "compare.html"
    assert all(path.is_file() for path in files)
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(
        files[0].read_text(encoding="utf-8")
    )
    assert not list(page.iter("script"))
    captions = ["".join(c.itertext()) for c in page.iter("figcaption")]
    for table in (
        "5.1",
        "5.2",
        "5.3",
        "5.4",
        "5.5",
        "5.6",
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "7.5",
        "7.6",
        "7.7",
        "7.8",
    ):
        assert any(caption.startswith(f"Table {table}:") for caption in captions), table
        for ending in ("txt", "csv", "tex", "html"):
            assert (compared.out / "tables" / f"table-{table}.{ending}") in files
    assert "demonstration model, not evidence" in "".join(page.itertext()).lower()
    for path in files:
        if path.suffix in (".csv", ".txt", ".tex") and not path.name.startswith("table-"):
            assert "demonstration model, not evidence" in path.read_text(encoding="utf-8"), path.name
    drawings = [path for path in files if path.suffix == ".svg"]
    assert len(drawings) == 6
    for path in drawings:
        ET.parse(path)


def test_a_run_without_test_is_named(make_run, tmp_path, capsys, undrawn):
    runs = [make_run("whole"), make_run("half", splits=("val",))]
    note = f"half: not evaluated on test; run  dfd-train evaluate {runs[1]} --split test"
    assert main(["compare", *map(str, runs), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [note, str(tmp_path / "compare.html")]
    assert note in (tmp_path / "compare.html").read_text(encoding="utf-8")


def test_predictions_of_an_earlier_best_are_named(make_run, tmp_path, caplog, undrawn):
    """As of a run that was made longer: by `compare` and by `report`, with the command that makes them anew."""
    run = make_run("longer")
    newer = read_run(run).best_epoch()
    frames = pd.read_parquet(run / "predictions-val.parquet")
    facts = {"checkpoint": "best", "checkpoint_epoch": "2", "work": str(tmp_path / "other set")}
    write_predictions(run / "predictions-test-deepfakebench-on-other set.parquet", frames, facts)
    write_predictions(run / "predictions-val.parquet", frames, facts | {"checkpoint_epoch": str(newer)})
    write_predictions(run / "predictions-train.parquet", frames, facts | {"checkpoint": "last"})
    of_other = "--split test --protocol deepfakebench --data"
    warnings = [
        f"longer: the predictions of {name} are of epoch 2, the best is now epoch {newer}; "
        f"run  dfd-train evaluate {run} {options}"
        for name, options in (
            ("test", "--split test"),
            ("test-deepfakebench-on-other set", f"{of_other} '{tmp_path}/other set'"),
        )
    ]
    for command in (["compare", str(run), "--out", str(tmp_path / "out")], ["report", str(run)]):
        caplog.clear()
        assert main(command) == 0
        assert [line for line in caplog.messages if "the best is now" in line] == warnings


def test_notes_of_several_runs_are_one(make_run):
    runs = [read_run(make_run(name, epochs=epochs)) for name, epochs in (("a", 50), ("b", 50), ("c", 49))]
    beside = named(thesis_tables(runs, [None] * 3), "table-7.6")
    for table in (beside, results_table(runs, "test", "loss")):
        (line,) = (note for note in table.notes if "best checkpoint" in note)
        assert line.startswith("a, b, c: best checkpoint, epoch 2;")
    assert "c, settings unlike the thesis's reseption_v1: train.epochs 49 instead of 50." in beside.notes
    assert "a, b, c, data unlike the thesis's: 4 frames a video instead of 12." in beside.notes


def test_what_is_best_beside_the_thesis_is_said_below_the_table():
    table = named(thesis_tables([], []), "table-5.3")
    said = (
        "among the thesis's columns, the best as printed; among yours, better than all others by paired tests"
    )
    lines = table.to_text().splitlines()
    assert any(cell.mark == "best" for row in table.rows for cell in row)
    assert lines[lines.index(f"  * {said}") - 1].startswith("Overall")
    assert f"Bold: {said}." in html.unescape(table.to_html()) and f"Bold: {said}." in table.to_latex()


def test_results_side_by_side(make_run):
    runs = [read_run(make_run("good", skill=2.0)), read_run(make_run("bad", skill=0.2, seed=1))]
    table = results_table(runs, "test", "video_accuracy")
    frames = pd.read_parquet(runs[1].path / "predictions-test.parquet")
    prob = 1 / (1 + (-frames["logit"].astype(float)).map(math.exp))
    videos = frames.assign(prob=prob).groupby("video_id").agg(
        label=("label", "first"), prob=("prob", "mean"), method=("method", "first")
    )  # fmt: skip
    for method, own in videos.groupby("method"):
        expected = sk.accuracy_score(own["label"], own["prob"] > 0.5)
        assert texts(table)[method]["bad"].value == pytest.approx(expected)
    assert texts(table)["Overall"]["good"].mark == "best"
    assert texts(table)["Overall"]["bad"].mark == ""
    loss = results_table(runs, "test", "loss")
    assert texts(loss)["Overall"]["good"].mark == "best"
    assert texts(loss)["Overall"]["good"].value < texts(loss)["Overall"]["bad"].value


def test_a_run_stands_beside_its_own_model_and_optimizer_only(make_run):
    run = read_run(make_run("mine", model="xception", optimizer="sgd"))
    tables = thesis_tables([run], [None])
    table = named(tables, "table-5.3")
    assert table.header.count("mine\nours") == 1
    place = table.header.index("mine\nours")
    assert table.header[place - 1] == "Xception\nSGDM\nthesis"
    assert texts(table)["NeuralTextures"]["Xception\nSGDM\nthesis"].text == "0.56878"
    assert texts(table)["Overall"]["Xception\nRAdam\nthesis"].text == "0.21857"
    assert not any("ours" in name for name in named(tables, "table-7.6").header)  # no Xception of ours there
    assert table.warning == "mine: demonstration model, not evidence."
    assert named(tables, "table-7.6").warning == ""


def test_table_7_7_holds_both_balanced_accuracies(make_run):
    run = read_run(make_run("mine", demonstration=False))
    table = named(thesis_tables([run], [None]), "table-7.7")
    row = texts(table)["Overall"]
    assert row["Reseption V1\nRAdam\nthesis"].text == "91.81%"
    frames = pd.read_parquet(run.path / "predictions-test.parquet")
    from dfd_train.metrics import summarize

    assert row["mine\nours"].value == summarize(frames).balanced_accuracy
    assert "91.59" in table.notes[0]
    assert table.warning == ""


def test_another_network_beside_the_thesis_says_so(make_run):
    run = make_run("narrow")
    config = (run / "config.toml").read_text().replace("input_size = 299", "input_size = 160")
    (run / "config.toml").write_text(config + "\n[model.arguments]\nwidth_multiplier = 0.2\n")
    tables = thesis_tables([read_run(run), read_run(make_run("whole"))], [None, None])
    note = "narrow is not quite the thesis's reseption_v1: width_multiplier 0.2, input 160."
    assert [one for one in named(tables, "table-7.1").notes if "not quite" in one] == [note]
    for slug in ("table-7.4", "table-7.6", "table-7.7"):
        (line,) = (one for one in named(tables, slug).notes if one.startswith("narrow, settings"))
        assert "reseption_v1: width_multiplier 0.2, input 160; " in line
    assert not any("narrow" in one for one in named(tables, "table-5.3").notes)


def test_overlaps_are_marked_in_the_thesis_and_in_ours(make_run):
    table = named(thesis_tables([], []), "table-5.5")
    marked = {(row[1].text, row[2].text) for row in table.rows if row[2].mark == "shared"}
    left = {(row[1].text, row[2].text) for row in table.rows}
    right = {(row[4].text, row[5].text) for row in table.rows}
    assert marked == left & right
    assert len(marked) == 9
    for slug, shared in (("table-5.6", 6), ("table-7.4", 5)):
        rows = named(thesis_tables([], []), slug).rows
        assert sum(row[2].mark == "shared" for row in rows) == shared
    assert ("Face2Face", "567_606.mp4") not in marked
    same = [read_run(make_run("one")), read_run(make_run("two"))]  # the same seed: every video is shared
    hardest = hardest_table(same, "test", 5)
    assert len(hardest.rows) == 5 and hardest.title == "The 5 hardest videos, test"
    assert all(row[1].mark == row[4].mark == "shared" for row in hardest.rows)
    ragged = hardest_side_by_side("t", {"a": [("m", "f", "1.0")], "b": []}, "s")
    assert [cell.text for cell in ragged.rows[0][4:]] == ["–", "–", "–"]


def test_matrix_has_a_column_a_data_set(make_run):
    run = make_run("a")
    (run / "predictions-test.parquet").rename(run / "predictions-test-on-celeb.parquet")
    other = make_run("b", seed=3)
    table = matrix_table([read_run(run), read_run(other)], "video_auc")
    trained = read_run(run).trained_on
    assert set(table.header[2:]) == {f"{trained}, val", "celeb, test", f"{trained}, test"}
    assert texts(table)["a"][f"{trained}, test"].text == "–"
    assert texts(table)["b"]["celeb, test"].text == "–"
    frames = pd.read_parquet(run / "predictions-test-on-celeb.parquet")
    from dfd_train.metrics import summarize

    assert texts(table)["a"]["celeb, test"].value == summarize(frames).video_auc


def test_two_sets_in_folders_of_one_name_are_two(make_run, work):
    """`celeb/work` is not `ffpp/work`, nor is it another run's."""
    run = make_run("a")
    frames = pd.read_parquet(run / "predictions-test.parquet")
    for place, name in (("celeb", "celeb-work"), ("dfdc", "dfdc-work")):
        metadata = {"work": f"/data/{place}/{work.name}"}
        write_predictions(run / f"predictions-test-on-{name}.parquet", frames, metadata)
    write_predictions(run / "predictions-test-deepfakebench.parquet", frames, {"work": str(work)})
    table = matrix_table([read_run(run)], "video_auc")
    own, (first, *rest) = f"{work.parent.name}/{work.name}", table.header[1:]
    assert first == "Trained on" and texts(table)["a"]["Trained on"].text == own
    assert set(rest) == {
        f"{own}, val", f"{own}, test", f"{own}, test (deepfakebench)",
        f"celeb/{work.name}, test", f"dfdc/{work.name}, test",
    }  # fmt: skip
    assert all(texts(table)["a"][column].text != "–" for column in rest)


def test_identities_are_compared_within_a_data_set(make_run, work, tmp_path):
    columns = ["video_id", "dataset", "source_id", "target_id"]
    trained = pd.DataFrame([("a", "ffpp", None, "001"), ("b", "ffpp", "002", "001")], columns=columns)
    tested = pd.DataFrame(
        [
            ("c", "ffpp", "003", "004"),
            ("d", "ffpp", "002", "005"),  # 002's face was in training
            ("e", "ffpp", "", "001"),
            ("f", "celebdf", None, "001"),  # another person 001
        ],
        columns=columns,
    )
    overlap = identity_overlap(trained, tested)
    assert (overlap.identities, overlap.videos, overlap.tested) == (("ffpp/001", "ffpp/002"), 2, 4)
    assert overlap.unknown == 0
    nobody = pd.DataFrame([("g", "celebdf", None, "")], columns=columns)
    assert identity_overlap(trained, nobody).line() == (
        "None of 1 tested video says whom it shows: people in both sets can't be told."
    )
    assert overlap.line().startswith(
        "Identities of the training and validation videos in 2 of the 4 tested videos: ffpp/001"
    )
    assert (
        identity_overlap(trained, tested[:1]).line()
        == "No identity of the training and validation videos is in the 1 tested video."
    )
    run = make_run("a")
    (run / "predictions-test.parquet").rename(run / "predictions-test-on-other.parquet")
    rows = {row[1].text: [cell.text for cell in row[2:]] for row in overlap_table([read_run(run)]).rows}
    assert rows == {f"{work.name}, val": ["0", "0", "35"], "other, test": ["–", "–", "–"]}


def test_size_of_a_real_checkpoint(make_run):
    from dfd_train.engine.detector import new_detector
    from dfd_train.runs.checkpoint import CheckpointFacts, save_checkpoint
    from dfd_train.settings.config import build_config
    from dfd_train.settings.files import read_config

    run = make_run("v1", splits=())
    config = build_config(read_config(run / "config.toml"))
    detector, _ = new_detector(config)
    facts = CheckpointFacts(config, (), "f00d", True, 1)
    save_checkpoint(run / "checkpoints" / "best.pt", facts, detector.network.state_dict())
    size = model_size(run)
    assert size.parameters == size.trained == 16_888_257
    assert size.macs / 1e9 == pytest.approx(5.134, abs=0.001)
    table = texts(named(thesis_tables([read_run(run)], [size]), "table-7.1"))
    assert table["Reseption V1 (thesis)"]["Size (MB)"].text == "66.2"
    assert float(table["v1 (ours)"]["Size (MB)"].text) == pytest.approx(66.2, abs=0.3)
    assert table["v1 (ours)"]["Parameters (M)"].text == "16.89"


def test_size_of_a_network_whose_shapes_depend_on_numbers(tmp_path):
    from dfd_train.models.build import build_detector
    from dfd_train.runs.checkpoint import CheckpointFacts, save_checkpoint
    from dfd_train.runs.folder import RunFolder
    from dfd_train.settings.config import ModelConfig, RunConfig

    name, folder = "tiny_networks:looking_at_numbers", RunFolder(tmp_path / "run")
    config = RunConfig(model=ModelConfig(name=name, input_size=32))
    folder.write_config(config)
    weights = build_detector(config.model).network.state_dict()
    save_checkpoint(folder.best, CheckpointFacts(config, (), "f00d", True, 1), weights)
    size = model_size(folder.path, trust=(name,))
    assert (size.macs, size.parameters, size.stored_bytes) == (3, 4, 16)


def test_a_run_without_checkpoint_has_dashes(make_run, tmp_path, undrawn):
    compare_runs([make_run("a")], tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "models.csv").open(encoding="utf-8")))
    assert rows[0]["MACs (G)"] == ""
    assert not list((tmp_path / "out" / "tables").glob("table-*"))


def test_errors(make_run, tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        compare_runs([], tmp_path)
    run = make_run("a")
    with pytest.raises(ValueError, match="a stands twice among the runs"):
        compare_runs([run, run], tmp_path)
    with pytest.raises(FileNotFoundError, match="no run folder"):
        compare_runs([tmp_path / "missing"], tmp_path)
