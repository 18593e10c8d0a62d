"""run --data A --data B: several prepared sets train as one, validated on each, and leaks across them are told."""

import json
import shutil
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import resuming
from forked import Forked
from test_overlap import made
from test_train_processes import torchrun

from dfd_train.cli import main
from dfd_train.data.batches import Shares, plan_epoch
from dfd_train.data.selection import Pair
from dfd_train.engine.data import open_data
from dfd_train.errors import UserError
from dfd_train.metrics import summarize
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_prediction_facts
from dfd_train.settings.config import DataConfig, RunConfig
from ffpp_prep.cli import main as prep
from ffpp_prep.format.joined import JoinedSets, open_sets
from ffpp_prep.format.prepared import load_prepared

COMMAND = ["--model", "tiny_networks:with_batch_norm", "--input-size", "32", "--batch-size", "6"]
COMMAND += ["--workers", "0", "--device", "cpu", "--threads", "1"]


def of_celebdf(table: pd.DataFrame) -> pd.DataFrame:
    """Videos of the same names, but of another data set, and so of other people."""
    return table.assign(dataset="celebdf", path="/elsewhere/" + table["video_id"])


@pytest.fixture(scope="module")
def sets(small_set_writer, tmp_path_factory) -> Path:
    """ffpp/work with three people in training, celebdf/work with six; both hold videos of one id."""
    folder = tmp_path_factory.mktemp("sets")
    small_set_writer(folder / "ffpp/work")
    splits = ("train",) * 6 + ("val",) * 3 + ("test",) * 2
    small_set_writer(folder / "celebdf/work", splits=splits, edit=of_celebdf)
    return folder


@pytest.fixture(scope="module")
def both(sets) -> list[str]:
    return ["--data", str(sets / "ffpp/work"), "--data", str(sets / "celebdf/work")]


@pytest.fixture(scope="module")
def run(sets, both) -> Path:
    assert main(["run", *both, "--out", str(sets / "run"), *COMMAND, "--epochs", "2"]) == 0
    return sets / "run"


def joined(sets: Path) -> JoinedSets:
    found = open_sets([sets / "ffpp/work", sets / "celebdf/work"])
    assert isinstance(found, JoinedSets)
    return found


def test_each_crop_is_read_from_its_own_set(sets):
    whole, parts = joined(sets), [load_prepared(sets / f"{name}/work") for name in ("ffpp", "celebdf")]
    assert len(whole.videos) == sum(len(part.videos) for part in parts) and whole.videos["video_id"].is_unique
    row = 0
    for name, part in zip(("ffpp", "celebdf"), parts, strict=True):
        set_name = f"{name}/work"
        for video_id in part.videos["video_id"]:
            assert whole.videos.at[row, "video_id"] == f"{set_name}/{video_id}"
            assert whole.videos.at[row, "set"] == set_name
            crop = whole.read_crop(f"{set_name}/{video_id}", 3)
            assert np.array_equal(crop, part.read_crop(video_id, 3))
            original, own = whole.original_of(row), part.original_of(part.row(video_id))
            assert (original is None) == (own is None)
            assert own is None or whole.videos.at[original, "video_id"].endswith(
                part.videos.at[own, "video_id"]
            )
            row += 1
    spots = np.array([[row, frame] for row in range(len(whole.videos)) for frame in (0, 23, 999)], np.int32)
    assert whole.are_stored(spots).tolist() == [whole.is_stored(*spot) for spot in spots.tolist()]


def test_a_run_trains_and_validates_on_both(sets, run):
    events = [event for event in RunFolder(run).read_events() if event["event"] == "epoch"]
    predictions = pd.read_parquet(run / "predictions-val.parquet")
    counts = predictions.groupby("set")["video_id"].nunique().to_dict()
    assert counts == {"ffpp/work": 6, "celebdf/work": 9}
    best = max(events, key=lambda event: event["val_balanced_accuracy"])
    for name, own in predictions.groupby("set"):
        assert best[f"val_balanced_accuracy, {name}"] == pytest.approx(summarize(own).balanced_accuracy)
        assert best[f"val_auc, {name}"] == pytest.approx(summarize(own).video_auc)
    assert {"val_auc, ffpp/work", "val_auc, celebdf/work"} <= {*pd.read_csv(run / "epochs.csv").columns}
    record = RunFolder(run).read_json("data.json")
    assert [one["work_beside"] for one in record["sets"]] == ["../ffpp/work", "../celebdf/work"]
    assert record["pairs"] == 18 and record["datasets"] == ["celebdf", "ffpp"]


def test_it_is_evaluated_on_both_and_on_each(sets, run, capsys):
    assert main(["evaluate", str(run), "--workers", "0"]) == 0
    printed = capsys.readouterr().out
    assert "Each prepared set" in printed and "celebdf/work" in printed
    frames = pd.read_parquet(run / "predictions-test.parquet")
    assert frames["set"].nunique() == 2
    facts = read_prediction_facts(run / "predictions-test.parquet")
    assert json.loads(facts["works"]) == [str(sets / "ffpp/work"), str(sets / "celebdf/work")]
    assert main(["evaluate", str(run), "--data", str(sets / "celebdf/work"), "--workers", "0"]) == 0
    (alone,) = run.glob("predictions-test-on-*.parquet")
    expected = frames[frames["set"] == "celebdf/work"]["logit"].to_numpy()
    assert np.allclose(pd.read_parquet(alone)["logit"], expected, atol=1e-4)
    assert main(["report", str(run)]) == 0 and "Each prepared set" in (run / "report.html").read_text()
    assert main(["compare", str(run), "--out", str(sets / "comparison")]) == 0
    page = (sets / "comparison/compare.html").read_text()
    assert "ffpp/work + celebdf/work" in page


def test_a_suite_knows_both_for_in_set(sets, run):
    suite = sets / "suite.toml"
    suite.write_text('title = "x"\n[[sets]]\nname = "own"\n[[sets]]\nname = "c"\nwork = ["celebdf/work"]\n')
    assert main(["evaluate", str(run), "--suite", str(suite), "--workers", "0"]) == 0
    told = json.loads((run / "suites/suite/suite.json").read_text())
    assert [one["standing"] for one in told["sets"]] == ["in-set", "in-set"]
    assert [one["videos"] for one in told["sets"]] == [12, 6]


def test_a_moved_project_is_found(sets, run, tmp_path):
    shutil.copytree(sets, tmp_path / "moved")
    moved = RunFolder(tmp_path / "moved/run")
    moved.write_json("data.json", moved.read_json("data.json") | {"work": "/gone", "sets": [
        one | {"work": "/gone"} for one in moved.read_json("data.json")["sets"]
    ]})  # fmt: skip
    assert moved.works() == (tmp_path / "moved/ffpp/work", tmp_path / "moved/celebdf/work")
    assert (
        main(["run", "--out", str(moved.path), "--epochs", "2"]) == 0
    )  # done: nothing is said to be other data


def test_a_run_of_several_sets_goes_on_bit_for_bit(both, tmp_path, monkeypatch):
    arguments = ["run", *both, *COMMAND, "--model", "tiny_networks:mortal", "--epochs", "3"]
    arguments += ["--set-weights", "2,1", "--checkpoint-minutes", "0.00001", *resuming.FULL]
    assert main([*arguments, "--out", str(tmp_path / "straight")]) == 0
    monkeypatch.setenv("DIE_BEFORE_PASS", "9")
    process = Forked([*arguments, "--out", str(tmp_path / "killed")])
    assert process.wait(timeout=240) == -signal.SIGKILL
    monkeypatch.delenv("DIE_BEFORE_PASS")
    assert resuming.place(tmp_path / "killed")["batches_done"] > 0
    assert main([*arguments, "--out", str(tmp_path / "killed")]) == 0
    resuming.assert_same_run(tmp_path / "straight", tmp_path / "killed")


@pytest.mark.full
@pytest.mark.slow
def test_two_processes_are_one(both, tmp_path):
    arguments = [
        "run",
        *both,
        *COMMAND,
        "--epochs",
        "2",
        "--set-weights",
        "1,1",
        "--model",
        "tiny_networks:without_batch_norm",
    ]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    process = torchrun([*arguments, "--out", str(tmp_path / "two")])
    error = process.communicate(timeout=240)[1]
    assert process.returncode == 0, error
    one, two = (resuming.epochs(tmp_path / name) for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4)


def table(counts: dict[int, int], length: int) -> pd.DataFrame:
    """Videos in rows that begin at `counts`' keys, half of them fakes."""
    rows = [start + i for start, count in counts.items() for i in range(count)]
    return pd.DataFrame({"label": [row % 2 for row in rows], "frames_decoded": length}, index=rows)


def test_weights_decide_the_shares_of_an_epoch():
    """Of pairs and of frames, exactly; an epoch stays as long as without weights, and each is another draw."""
    videos = table({0: 20, 100: 80}, 50)
    pairs = [
        Pair(row + 1, row) for start, count in ((0, 20), (100, 80)) for row in range(start, start + count, 2)
    ]
    for weights, share in (((1.0, 1.0), 0.5), ((4.0, 1.0), 0.8), ((0.5, 4.5), 0.1)):
        shares = Shares((0, 100), weights)
        for config, shown in (
            (DataConfig(batch_size=10), 100),
            (DataConfig(batches="shuffled", batch_size=10, train_frames=5), 500),
        ):
            plans = [
                plan_epoch(config, videos, pairs, epoch=epoch, total_epochs=9, seed=7, shares=shares)
                for epoch in (1, 2, 1)
            ]
            spots = plans[0].batches.spots
            assert len(spots) == shown and (spots[:, 0] < 100).sum() == share * shown
            assert plans[0].batches == plans[2].batches != plans[1].batches
            often = Counter(map(tuple, spots[spots[:, 0] < 100].tolist()))
            assert max(often.values()) - min(often.values()) <= 1  # none again before all others were shown
    alone = plan_epoch(DataConfig(), videos, pairs, epoch=1, total_epochs=9, seed=7)
    assert len({*map(tuple, alone.batches.spots.tolist())}) == 100  # without weights every pair once


def test_every_set_has_a_weight(sets):
    data = DataConfig(work=str(sets / "ffpp/work"), also=(str(sets / "celebdf/work"),), set_weights=(1.0,))
    with pytest.raises(UserError, match=r"data\.set_weights=\[1\.0\]: must be 2, one of each prepared set"):
        open_data(RunConfig(data=data))


def test_a_set_without_training_videos_is_refused(sets, small_set_writer, tmp_path):
    small_set_writer(tmp_path / "tested", splits=("test",) * 3, edit=of_celebdf)
    data = DataConfig(work=str(sets / "ffpp/work"), also=(str(tmp_path / "tested"),))
    with pytest.raises(UserError, match="tested has no fake with its original in split train"):
        open_data(RunConfig(data=data))


def test_sets_that_are_cut_otherwise_are_refused(sets, tmp_path):
    shutil.copytree(sets / "celebdf/work", tmp_path / "wide")
    manifest = tmp_path / "wide/faces/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"margin": 0.5}))
    for shard in (tmp_path / "wide/faces").glob("*.h5"):
        import h5py

        with h5py.File(shard, "r+") as file:
            file.attrs["margin"] = 0.5
    with pytest.raises(UserError, match=r"cut in several ways.* margin 0\.3, .* margin 0\.5"):
        open_sets([sets / "ffpp/work", tmp_path / "wide"])


def test_what_an_epoch_shows_of_each_is_said(sets, both, small_set_writer, tmp_path, caplog):
    third = small_set_writer(
        tmp_path / "ffiw", edit=lambda table: table.assign(dataset="ffiw", path="/third/" + table["video_id"])
    ).work
    videos = pq.read_table(third / "videos.parquet")
    nobody = pa.nulls(len(videos), pa.string())
    for place, name in enumerate(videos.column_names):
        videos = videos.set_column(place, name, nobody) if name in ("source_id", "target_id") else videos
    pq.write_table(videos, third / "videos.parquet")
    command = ["run", *both, "--data", str(third), "--set-weights", "2,1,1", "--dry-run", *COMMAND]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert (
        "ffpp/work: train 3 real and 6 fake, val 2 real and 4 fake; 24 crops in the first epoch"
        in caplog.text
    )
    assert "celebdf/work: train 6 real and 12 fake, val 3 real and 6 fake; 12 crops" in caplog.text
    assert "12 crops in the first epoch; it names nobody" in caplog.text


def test_one_set_twice_is_refused(sets, capsys, tmp_path):
    twice = ["--data", str(sets / "ffpp/work")] * 2
    assert main(["run", *twice, "--out", str(tmp_path / "run"), *COMMAND]) == 2
    assert "is named twice" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["person", "content"])
def test_leaks_across_sets_are_told(sets, small_set_writer, tmp_path, capsys, kind):
    """A person, or a file byte for byte, that trains in one set and is tested in another."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film" * 99)

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table = of_celebdf(table)
        if kind == "person":  # one of ffpp's training, in the other's test split
            table.loc[table["split"] == "test", "dataset"] = "ffpp"
            table.loc[table["split"] == "test", ["source_id", "target_id"]] = "000"
        else:
            table.loc[table.index[-1], "path"] = str(film)
        return table

    def with_the_film(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[0, "path"] = str(shutil.copy(film, tmp_path / "copy.mp4"))
        return table

    small_set_writer(tmp_path / "other", edit=edit)
    small_set_writer(tmp_path / "first", edit=with_the_film)
    works = [str(tmp_path / "first"), str(tmp_path / "other")]
    for work in works:
        assert main(["run", "--data", work, "--out", str(tmp_path / "run"), "--dry-run", *COMMAND]) == 0
    together = ["run", "--data", works[0], "--data", works[1], "--out", str(tmp_path / "run"), *COMMAND]
    capsys.readouterr()
    assert main([*together, "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert f"same {kind if kind == 'content' else ''}" in told and "(train)" in told and "(test)" in told
    assert f"ffpp-prep check-splits {works[0]} --also {works[1]}" in told
    assert main([*together, "--allow-leaks", "--dry-run"]) == 0


@pytest.mark.parametrize("kind", ["person", "content"])
def test_check_splits_looks_across_sets(tmp_path, kind):
    rows = {"person": ("a,a.mp4,0,train,x,Anna,,,", "b,b.mp4,1,test,x,2.0,anna ,,")}
    rows["content"] = ("a,a.mp4,0,train,x,,,,", "a,copy.mp4,0,val,y,,,,")
    one, other = (
        made(tmp_path / name, text, {text[0]: seed})
        for name, text, seed in zip("ab", rows[kind], (1, 2), strict=True)
    )
    assert prep(["check-splits", str(one)]) == prep(["check-splits", str(other)]) == 0
    assert prep(["check-splits", str(one), "--also", str(other), "--csv", str(tmp_path / "pairs.csv")]) == 1
    pairs = pd.read_csv(tmp_path / "pairs.csv")
    assert pairs["kind"].tolist() == [kind] and pairs["video_id"].tolist() == ["a/work/a"]
