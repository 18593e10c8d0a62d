"""The report page: what stands in it, that it is one well-formed file, and that a real browser shows it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfd_train.calibration.learned import calibrate
from dfd_train.errors import UserError
from dfd_train.report.compare import compare_runs
from dfd_train.report.curves import gradient_flow, overlay_curves, training_curves
from dfd_train.report.page import write_report
from dfd_train.report.run import read_run
from dfd_train.report.sheets import MOST_TRIED, Tried, contact_sheets, hardest_sheet

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def parse(text: str):
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def words_of(element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.fixture(scope="module")
def reported(make_run) -> Path:
    """A run with its report; not to be changed."""
    run = make_run()
    write_report(run)
    return run


@pytest.fixture(scope="module")
def page(reported) -> str:
    return (reported / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def unfinished(make_run) -> Path:
    """The report of a run that stopped at epoch 2 of 8, is calibrated and no demonstration: three hardest."""
    run = make_run(epochs=2, demonstration=False)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("epochs = 2", "epochs = 8"))
    known = calibrate(pd.read_parquet(run / "predictions-val.parquet"), "ab" * 32)
    (run / "calibration.json").write_text(json.dumps(msgspec.to_builtins(known)))
    write_report(run, hardest=3)
    return run


def test_page_is_one_strict_file(page):
    tree = parse(page)
    assert not list(tree.iter("script"))
    assert not [link for link in tree.iter("link") if not link.get("href").startswith("data:")]
    assert all(image.get("src").startswith("data:image/jpeg;base64,") for image in tree.iter("img"))
    assert not re.search(r"(https?:)?//(?!www\.w3\.org)[a-z]", re.sub(r"base64,[^\"]*", "", page))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_no_file_names_a_folder_of_this_machine(make_run, work, tmp_path):
    run = make_run()
    data = json.loads((run / "data.json").read_text())
    places = {"work": str(work), "work_beside": "../.." + str(work)}
    (run / "data.json").write_text(json.dumps(data | places | {"moved": r"C:\Users\somebody\faces"}))
    write_report(run)
    compare_runs([run], tmp_path / "compared", "thesis")
    written = [run / "report.html", *run.glob("tables/**/*.*"), *tmp_path.glob("compared/**/*.*")]
    assert len(written) > 20
    for path in written:
        content = path.read_text(encoding="utf-8")
        for folder in (str(work.parent)[1:], str(run.parent), f"{Path.home()}/", sys.prefix, "somebody"):
            assert folder not in content, (path.name, folder)


def test_references_inside_drawings_resolve(page):
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
    assert wanted
    assert wanted <= ids


def test_page_shows_results_sheets_curves_and_settings(page):
    tree = parse(page)
    headings = [words_of(h) for h in tree.iter("h2")]
    assert headings == ["Test split", "Validation split", "Training", "What was run"]
    captions = [words_of(c) for c in tree.iter("figcaption")]
    for caption in (
        "Results by manipulation method", "All measures", "Videos by score", "ROC over videos",
        "Loss per epoch", "Frame accuracy per epoch", "Balanced accuracy over videos per epoch", "Learning rate",
        "Videos by method and split",
    ):  # fmt: skip
        assert caption in captions
    assert [words_of(h) for h in tree.iter("h3")][:3] == [
        "Crops called right",
        "Crops called wrong",
        "Hardest videos",
    ]
    assert len(list(tree.iter("img"))) > 40
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}svg"))) == 2 * 2 + 4
    text = words_of(tree)
    assert "53 of 54 videos scored" in text
    assert "no face 1" in text
    assert "optimizer" not in text.lower() or "Settings: optimizer" in text
    assert "3.11.2" in text
    assert "Best checkpoint, epoch 2; the best is now epoch" in text
    assert "training scores augmented crops, in various batches half fake and half real, by weights" in text
    assert "a score is the sigmoid of the logit, not calibrated" in text
    assert "probability of fake" not in text.lower()
    assert "unfinished" not in text


def test_each_folded_table_stands_under_its_own_title(unfinished):
    """Several under one summary had none, as the page hides captions there, and the methods' was missing."""
    tree = parse((unfinished / "report.html").read_text(encoding="utf-8"))
    section = next(one for one in tree.iter("section") if one.get("id") == "results-1")
    folded = {words_of(one.find("summary")): len(list(one.iter("table"))) for one in section.iter("details")}
    assert folded == dict.fromkeys(
        (
            "Scores as probabilities, and few false alarms", "Each method against the originals",
            "Reliability of the deployed score", "Errors among the surest videos", "False alarms by faces and length",
        ), 1,
    )  # fmt: skip
    captions = [words_of(one) for one in section.iter("figcaption")]
    assert captions.count("Reliability of the deployed score") == 2  # table and drawing


def test_an_unfinished_run_says_where_it_stopped(unfinished):
    text = words_of(parse((unfinished / "report.html").read_text(encoding="utf-8")))
    assert "The run is unfinished: it stopped at epoch 2 of 8." in text
    assert text.count("stopped at epoch 2 of 8") == 4  # subtitle, both splits, training


def test_numbers_on_the_page_are_those_of_the_predictions(reported, page):
    tree = parse(page)
    frames = pd.read_parquet(reported / "predictions-test.parquet")
    prob = 1 / (1 + np.exp(-frames["logit"].astype(float)))
    videos = frames.assign(prob=prob).groupby("video_id").agg(label=("label", "first"), prob=("prob", "mean"))
    right = (videos["prob"] > 0.5) == (videos["label"] == 1)
    balanced = right.groupby(videos["label"]).mean().mean()
    first = next(group for group in tree.iter("dl") if group.get("class") == "headlines")
    headlines = {words_of(div.find("dt")): div for div in first}
    assert words_of(headlines["Balanced accuracy"].findall("dd")[0]) == f"{100 * balanced:.2f}%"
    table = next(t for t in tree.iter("table"))
    rows = {words_of(row[0]): [words_of(cell) for cell in row[1:]] for row in table.find("tbody")}
    assert rows["Overall"][0] == str(len(videos))
    assert rows["Overall"][3] == f"{100 * right.mean():.2f}%"


def test_demonstration_is_conspicuous_and_only_where_true(page, unfinished):
    banner = next(p for p in parse(page).iter("p") if p.get("class") == "banner")
    assert "demonstration model, not evidence" in words_of(banner).lower()
    clean = (unfinished / "report.html").read_text(encoding="utf-8")
    assert "demonstration model" not in clean.lower()


def test_what_comes_from_data_is_escaped(make_run, undrawn):
    run = make_run()
    hostile = "<img src=x onerror=alert(1)>&\"'"
    frames = pd.read_parquet(run / "predictions-test.parquet")
    frames.loc[frames["method"] == "Deepfakes", "method"] = hostile
    frames["video_id"] = frames["video_id"].str.replace("000", "<b>0")
    frames.to_parquet(run / "predictions-test.parquet")
    (run / "environment.json").write_text(json.dumps({hostile: hostile}))
    tree = parse(write_report(run).read_text(encoding="utf-8"))
    assert not [image for image in tree.iter("img") if image.get("src") == "x"]
    assert hostile in "".join(tree.itertext())


def test_tables_are_written_beside_the_page(reported):
    tables = reported / "tables"
    names = {path.relative_to(tables).as_posix() for path in tables.rglob("*.*")}
    endings = ("txt", "csv", "tex", "html")
    assert names == {
        f"{split}/{slug}.{ending}"
        for split in ("val", "test")
        for slug in ("evaluation", "measures", "operating", "methods", "hardest")
        for ending in endings
    }


def test_as_many_of_the_hardest_as_asked_for(unfinished):
    tree = parse((unfinished / "report.html").read_text(encoding="utf-8"))
    lists = [one for one in tree.iter("ol") if one.get("class") == "hardest"]
    assert [len(one) for one in lists] == [3, 3]
    for split in ("val", "test"):
        assert len(pd.read_csv(unfinished / "tables" / split / "hardest.csv")) == 3


def test_page_without_crops_or_predictions_or_epochs(make_run):
    run = make_run(splits=(), epochs=1)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(re.sub(r'work = ".*"', 'work = "gone"', config))
    (run / "events.jsonl").unlink()
    text = words_of(parse(write_report(run).read_text(encoding="utf-8")))
    assert "No predictions yet" in text
    assert "could not be opened" in text


def test_a_torn_log_and_a_resume_are_read_right(make_run):
    run = make_run(epochs=3)
    log = run / "events.jsonl"
    again = json.loads(log.read_text().splitlines()[3]) | {"train_loss": 9.0}
    log.write_text(log.read_text() + json.dumps(again) + "\n" + '{"event": "epo')
    contents = read_run(run)
    assert list(contents.epochs["epoch"]) == [1, 2, 3]
    assert contents.epochs["train_loss"].iloc[2] == 9.0


def test_errors_name_the_file(make_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no run folder: it has no config\.toml"):
        read_run(tmp_path / "nothing")
    run = make_run()
    (run / "predictions-val.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match=r"predictions-val\.parquet: damaged: not readable as Parquet"):
        read_run(run)
    (run / "predictions-val.parquet").unlink()
    (run / "data.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"data\.json: damaged: list where an object"):
        read_run(run)


def test_sheets_hold_the_right_and_the_wrong(make_run):
    frames = pd.read_parquet(make_run() / "predictions-test.parquet")
    seen = []

    def read(video_id, frame, face):
        seen.append((video_id, frame))
        return np.full((40, 60, 3), (250, 10, 10), np.uint8)

    right, wrong = contact_sheets(frames, read, thumbs=12)
    called = frames.set_index(["video_id", "frame"]).eval("(logit > 0) == (label == 1)")
    assert called[seen[: len(right.thumbs)]].all()
    assert not called[seen[len(right.thumbs) :]].any()
    assert len(set(seen)) == len(seen)
    errors = [abs(thumb.prob - thumb.label) for thumb in wrong.thumbs if thumb.method == "NeuralTextures"]
    assert errors == sorted(errors, reverse=True)
    assert len({thumb.method for thumb in right.thumbs[:6]}) == 6  # methods take turns
    loss = np.log1p(np.exp(frames["logit"])) - frames["label"] * frames["logit"]
    worst = loss.groupby(frames["video_id"]).mean().nlargest(3)
    hardest = hardest_sheet(frames, read, hardest=3)
    assert [video.video_id for video in hardest] == list(worst.index)
    assert len(hardest[0].thumbs) == 4


def test_a_thumbnail_keeps_its_colours(make_run):
    import base64
    import io

    from dfd_train.report.sheets import picture

    crop = np.zeros((200, 100, 3), np.uint8)
    crop[..., 0] = 255
    image = Image.open(io.BytesIO(base64.b64decode(picture(crop).split(",")[1])))
    assert image.size == (60, 120)
    assert np.abs(np.asarray(image, int)[60, 30] - [255, 0, 0]).max() < 6


def test_damaged_crops_leave_gaps_not_errors(make_run):
    frames = pd.read_parquet(make_run() / "predictions-test.parquet")

    def broken(video_id, frame, face):
        raise UserError("damaged")

    assert contact_sheets(frames, broken) == ()
    assert hardest_sheet(frames, broken)[0].thumbs == ()


def test_pictures_that_cannot_be_had_are_given_up_and_the_page_says_why(make_run, work, tmp_path, undrawn):
    label = np.arange(3 * MOST_TRIED) % 2
    rows = pd.DataFrame({"video_id": [f"v{i:04d}.mp4" for i in range(len(label))], "label": label})
    rows = rows.assign(method="M", frame=0, face=0, logit=np.where(np.arange(len(label)) % 4 < 2, 1.0, -1.0))

    def gone(video_id, frame, face):
        raise UserError("no such crop")

    tried = Tried(gone)
    assert contact_sheets(rows, tried) == ()
    assert (tried.failed, tried.reason) == (2 * MOST_TRIED, "no such crop")  # a sheet each

    run, bare = make_run(), tmp_path / "bare"
    shutil.copytree(work, bare, ignore=shutil.ignore_patterns("faces"))
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace(str(work), str(bare)))
    text = words_of(parse(write_report(run).read_text(encoding="utf-8")))
    assert re.search(r"Not shown: \d+ crops, unreadable: .*neither crop nor box", text)


def test_curves_draw_every_point():
    epochs = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.7, 0.6, 0.5], "val_loss": [0.6, 0.5, 0.4]})
    (loss,) = training_curves(epochs, best_epoch=2)
    assert "currentColor" in loss.svg
    assert "training" in loss.svg
    assert loss.svg.count("<use") >= 6  # three markers on each of two lines, besides ticks
    overlay = overlay_curves([])
    assert overlay == ()


def test_gradient_flow_is_drawn_for_every_epoch(tmp_path):
    layers = [f"layer{i}" for i in range(5)]
    rows = [(epoch, layer, 1e-4, 1e-2) for epoch in (1, 2, 3) for layer in layers]
    plots = gradient_flow(pd.DataFrame(rows, columns=["epoch", "layer", "mean", "max"]), "not evidence")
    assert [plot.caption for plot in plots] == [f"Gradient flow in epoch {epoch}" for epoch in (1, 2, 3)]
    assert all(layer in plots[0].svg for layer in layers) and "not evidence" in plots[0].svg
    file = plots[1].write(tmp_path)
    assert file.name == "gradients-2.svg" and ElementTree.parse(file).getroot().tag.endswith("svg")


def test_many_layers_are_named_by_their_part():
    layers = [f"stage{i}.block{j}.conv{k}" for i in range(3) for j in range(6) for k in range(8)]
    gradients = pd.DataFrame({"epoch": 1, "layer": layers, "mean": 1e-4, "max": 1e-2})
    (plot,) = gradient_flow(gradients)
    assert "stage2.block5<" in plot.svg
    assert "conv" not in plot.svg


def test_a_browser_shows_it(reported, page, tmp_path):
    """What a browser makes of the page holds the table; where none is installed, the strict parser's tree does."""
    text = page
    parse(text)
    if CHROMIUM:
        text, log = browse(reported / "report.html", tmp_path / "profile")
        assert "CONSOLE" not in log
    dom = html5lib.parse(text, namespaceHTMLElements=False)
    assert "Results by manipulation method" in [words_of(c) for c in dom.iter("figcaption")]
    assert any(
        words_of(row[0]) == "NeuralTextures" for table in dom.iter("table") for row in table.find("tbody")
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_every_crop_is_there_before_anybody_scrolls(reported):
    """Nobody does where the page is printed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.goto((reported / "report.html").as_uri())
        widths = shown.evaluate("[...document.images].map(image => image.naturalWidth)")
        browser.close()
    assert len(widths) > 5 and all(widths)


def browse(page, profile) -> tuple[str, str]:
    """The document after Chromium loaded it at a phone's width, and what it logged."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--enable-logging=stderr", "--window-size=390,844",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("checkpoint_epoch", "x"),
        ("frames_per_video", "\u00b2"),
        ("works", "{"),
        ("works", "[1]"),
        ("pandas", "{"),
        ("logit", ""),
    ],
)
def test_what_predictions_say_of_themselves_is_checked(make_run, name, value) -> None:
    run = make_run(epochs=1)
    path = run / "predictions-test.parquet"
    table = pq.read_table(path)
    if name == "logit":
        table = table.drop_columns([name])
    facts = {**table.schema.metadata, name.encode(): value.encode()}
    pq.write_table(table.replace_schema_metadata(facts), path)
    if name == "pandas":  # which is not asked
        assert len(read_run(run).predictions) == 2
        return
    with pytest.raises(UserError, match=r"predictions-test\.parquet.*remove it.*dfd-train evaluate"):
        read_run(run)
