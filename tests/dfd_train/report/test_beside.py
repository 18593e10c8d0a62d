"""Beside the thesis: Overall over its methods only, and all that differs between its runs and ours is named."""

import json
import re
from pathlib import Path

import pandas as pd

from dfd_train.models.baselines import baseline_of
from dfd_train.reference import METHODS, PRESETS
from dfd_train.report.across import results_table
from dfd_train.report.run import read_run
from dfd_train.report.thesis import thesis_tables
from dfd_train.runs.predictions import write_predictions
from dfd_train.settings.config import build_config
from dfd_train.settings.files import find_config, read_config


def texts(table):
    return {
        row[0].text: {name: cell for name, cell in zip(table.header, row, strict=True)} for row in table.rows
    }


def named(tables, slug):
    return next(table for table in tables if table.slug == slug)


def notes_of(run, slug="table-7.6"):
    return named(thesis_tables([read_run(run)], [None]), slug).notes


def test_overall_beside_the_thesis_counts_the_thesis_methods_only(make_run):
    run = make_run("mine", epochs=50)
    before = {
        slug: texts(named(thesis_tables([read_run(run)], [None]), slug))
        for slug in ("table-7.6", "table-7.7")
    }
    frames = pd.read_parquet(run / "predictions-test.parquet")
    assert not any("in no row" in note for note in notes_of(run))
    other = frames[frames["method"] == "Deepfakes"].assign(
        method="FaceShifter", video_id=lambda own: "f/" + own["video_id"], logit=-40.0
    )  # fmt: skip
    write_predictions(run / "predictions-test.parquet", pd.concat([frames, other]), {})
    tables = thesis_tables([read_run(run)], [None])
    for slug, rows in before.items():
        assert texts(named(tables, slug)) == rows
        note = "mine, in no row and not in Overall, videos of methods that the thesis has not: FaceShifter 9."
        assert note in named(tables, slug).notes
    assert "FaceShifter" in texts(results_table([read_run(run)], "test", "loss"))  # our own table has its row
    write_predictions(run / "predictions-val.parquet", other, {})
    assert not any(
        "ours" in name for name in named(thesis_tables([read_run(run)], [None]), "table-7.2").header
    )
    assert not any(
        "ours" in name for name in named(thesis_tables([read_run(run)], [None]), "table-7.4").header
    )


def test_every_setting_that_differs_from_the_preset_is_named(make_run):
    run = make_run("mine", epochs=50, demonstration=False)
    lines = (
        f"mine: best checkpoint, epoch 2; the best is now epoch {read_run(run).best_epoch()}: evaluate again.",
        "mine, data unlike the thesis's: 4 frames a video instead of 12.",
        "mine, videos (the thesis's): DeepFakeDetection 8 (366), Deepfakes 9 (140), Face2Face 9 (140), "
        "FaceSwap 9 (140), NeuralTextures 9 (140), original_sequences 9 (180).",
    )
    assert notes_of(run)[2:] == lines
    config = (run / "config.toml").read_text()
    changed = config.replace("epochs = 50", "epochs = 60\nmax_steps = 2").replace("seed = 0", "seed = 7")
    changed = changed.replace(
        'batches = "various"', 'batches = "dual"\nexclude_methods = ["FaceShifter", "FaceSwap"]'
    )
    (run / "config.toml").write_text(changed + "\n[transforms]\nerasing_scale = [0.1, 0.2]\n")
    told = {line.partition(":")[0]: line.partition(":")[2] for line in notes_of(run)[2:]}
    assert told["mine, settings unlike the thesis's reseption_v1"].strip() == (
        "data.batches dual instead of various; data.exclude_methods FaceSwap instead of none; "
        "transforms.erasing_scale 0.1 to 0.2 instead of 0.02 to 0.33; "
        "train.epochs 60 instead of 50; train.max_steps 2 instead of unset."
    )
    assert told["mine"].endswith("; stopped at epoch 50 of 60.")


def test_what_the_prepared_set_tells_of_the_thesis_is_named(make_run, tmp_path):
    """How faces were detected, who of DeepFakeDetection stands where, and which methods trained."""
    run = make_run("mine", epochs=50)
    source = read_run(run).works[0]
    (tmp_path / "boxes").mkdir()
    videos = pd.read_parquet(source / "videos.parquet")
    dfd = videos["method"] == "DeepFakeDetection"
    videos = videos.assign(dataset=videos["dataset"].mask(dfd, "dfd"))
    status = pd.read_parquet(source / "boxes" / "videos-00000.parquet")
    write_predictions(
        tmp_path / "boxes" / "videos-00000.parquet", status, {"settings": '{"every": 3, "margin": 0.3}'}
    )
    data = {
        "work": str(tmp_path),
        "splits": {"train": {"methods": {"FaceShifter": 2, **dict.fromkeys(METHODS[1:], 1)}}},
    }
    (run / "data.json").write_text(json.dumps(data))
    methods = f"trained on FaceShifter besides; not trained on {METHODS[0]}"
    for train, sentence in (
        ("000", "DeepFakeDetection is split by actors instead of at random"),
        (
            "021",
            "DeepFakeDetection is another random draw than the thesis's, 1 actor in training and outside",
        ),
    ):
        table = videos.assign(target_id=videos["target_id"].mask(dfd & (videos["target_id"] == "000"), train))
        write_predictions(tmp_path / "videos.parquet", table, {})
        expected = f"{methods}; face detection with every 3 instead of 1; {sentence}; 4 frames a video instead of 12."
        assert f"mine, data unlike the thesis's: {expected}" in notes_of(run)
    (tmp_path / "videos.parquet").unlink()
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(re.sub(r'work = ".*"', 'work = "gone"', config))
    (line,) = (note for note in notes_of(run) if "cannot be opened" in note)
    assert (
        f"not known how faces were detected and DeepFakeDetection was split: {tmp_path} cannot be opened"
        in line
    )


def test_an_ensemble_differs_where_its_members_do(make_run):
    run = make_run("joined", model="reseption_ensemble", epochs=30)
    members = [
        make_run("v1", epochs=3, splits=()),
        make_run("v2", model="reseption_v2", epochs=50, splits=()),
    ]
    config = (run / "config.toml").read_text()
    places = json.dumps([*map(str, members), "gone"])
    (run / "config.toml").write_text(config.replace("[model]", f"[model]\nmembers = {places}"))
    line = "member v1 with train.epochs 3 instead of 50; member gone not known."
    assert f"joined, settings unlike the thesis's reseption_ensemble: {line}" in notes_of(run)


def test_the_presets_behind_the_tables_are_of_their_models():
    for model, names in PRESETS.items():
        for name in names:
            named = build_config(read_config(find_config(Path(name)))).model.name
            assert baseline_of(named) == model
