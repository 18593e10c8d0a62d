"""`dfd-train predict` over a folder: several processes, JSON lines, and an index that is searched and sorted."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import PIL.Image
import prediction
import psutil
import pytest
from hostile_pages import CHROMIUM
from processes import wait_for_children, words

from dfd_train.calibration.score import DeployedScore
from dfd_train.cli import PROGRAM, main
from dfd_train.commands.predict import make_job
from dfd_train.predict import batch
from dfd_train.predict.analysis import Analysis
from dfd_train.predict.batch import Done, Job, predict_files
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.inputs import Input, find_inputs
from dfd_train.predict.outputs import read_result
from dfd_train.predict.page import write_index
from dfd_train.predict.parallel import predict_at_once
from ffpp_prep.command_line.program import build_parser
from ffpp_prep.text import bars


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three faces, a picture without one, and two files that are none."""
    place = tmp_path_factory.mktemp("many")
    for number, picture in enumerate(prediction.faces(61)[::30]):
        PIL.Image.fromarray(picture).save(place / f"face{10 * number}.png")
    PIL.Image.new("RGB", (200, 200)).save(place / "dark.png")
    for name in ("broken.mp4", "b.jpg"):
        (place / name).write_bytes(b"nothing of the kind")
    return place


@pytest.fixture(scope="module")
def out(run, folder, tmp_path_factory) -> Path:
    """Scored by two processes; what `--json` printed lies beside it."""
    place = tmp_path_factory.mktemp("out") / "predicted"
    with place.with_suffix(".jsonl").open("w") as printed, contextlib.redirect_stdout(printed):
        command = ["predict", str(run), str(folder), "--out", str(place), "--jobs", "2", "--json"]
        assert main(command) == 1
    return place


@pytest.mark.full
def test_processes_give_what_one_gives(run, folder, out, tmp_path) -> None:
    assert main(["predict", str(run), str(folder), "--out", str(tmp_path)]) == 1
    names = sorted(path.parent.name for path in tmp_path.glob("*/result.json"))
    assert names == sorted(path.parent.name for path in out.glob("*/result.json")) and len(names) == 6
    for name in names:
        alone, together = read_result(tmp_path / name), read_result(out / name)
        assert alone is not None and together is not None
        assert (alone.status, alone.identity, alone.reason) == (
            together.status,
            together.identity,
            together.reason,
        )
        assert alone.prob == pytest.approx(together.prob, abs=1e-6)
    assert (tmp_path / "summary.csv").read_text().count("\n") == 7
    assert (out / "summary.csv").read_text().count("\n") == 7


def test_a_line_a_file(out) -> None:
    lines = [json.loads(line) for line in out.with_suffix(".jsonl").read_text().splitlines()]
    assert {line["file"]: line["status"] for line in lines} == {
        **dict.fromkeys(("face0.png", "face10.png", "face20.png"), "scored"),
        **dict.fromkeys(("broken.mp4", "b.jpg"), "unreadable"),
        "dark.png": "no_usable_face",
    }


@pytest.mark.full
def test_what_is_done_is_passed_over_by_processes_too(run, folder, out, capsys) -> None:
    assert main(["predict", str(run), str(folder), "--out", str(out), "--jobs", "2"]) == 1
    assert capsys.readouterr().out.count("(was there)") == 6


def test_a_dry_run_says_what_is_left_and_writes_nothing(run, folder, out, tmp_path, capsys) -> None:
    assert main(["predict", str(run), str(folder), "--out", str(tmp_path / "new"), "--dry-run"]) == 0
    assert "6 of 6 files to be scored; nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()
    assert main(["predict", str(run), str(folder), "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("was there") == 6 and "0 of 6 files to be scored" in said


def test_the_time_left_is_that_of_files_still_to_be_scored(folder, out, tmp_path, monkeypatch) -> None:
    result = read_result(out / "face0.png")
    assert result is not None
    made: list[Any] = []
    monkeypatch.setattr(batch, "bar", lambda *args, **kept: made.append(bars.bar(*args, **kept)) or made[-1])
    monkeypatch.setattr(batch, "write_overview", lambda *_: None)
    files = find_inputs([folder])

    def five_were_there(tasks: Sequence[tuple[Input, Path]], look: Callable[[], object]) -> Iterator[Done]:
        look()
        for number, (_, place) in enumerate(tasks):
            if number == 5:
                made[0].start_t -= 100.0
                assert "about" not in made[0].line()
            yield Done(place, result, kept=number < 5)

    job = Job((), Reading(("m",), "x", False, DeployedScore(), None), None, None)  # type: ignore[arg-type]
    predict_files(files + files, tmp_path, job, at_once=five_were_there)
    assert (made[0].initial, made[0].n) == (5, 12)


def dying(file: Input, *_: object) -> Analysis:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def job_that_dies_at_a_face(make: Callable[[], Job]) -> Job:
    """In the process that makes it, the first picture by name kills."""
    analyse = batch.analyse
    batch.analyse = lambda file, *rest: dying(file) if file.path.name == "face0.png" else analyse(file, *rest)
    return replace(make(), video=False)


@pytest.mark.full
def test_a_process_that_dies_takes_one_file_with_it(run, folder, tmp_path) -> None:
    asked = ["predict", str(run), str(folder), "--device", "cpu", "--trust", *prediction.TRUST]
    options = build_parser(PROGRAM).parse_args(asked)
    make = partial(make_job, options)
    tasks = [(file, tmp_path / file.name) for file in find_inputs([folder])]
    looks: list[None] = []
    look = partial(looks.append, None)  # who waits is told of the time that passes
    found = predict_at_once(tasks, partial(job_that_dies_at_a_face, make), make(), 2, look)
    statuses = {done.result.file: done.result.status for done in found}
    assert len(statuses) == 6 and statuses.pop("face0.png") == "internal_error" and looks
    assert "internal_error" not in statuses.values()
    died = read_result(tmp_path / "face0.png")
    assert died is not None and "the process that scored it died" in died.reason and died.identity == ""


def _worked(process: psutil.Process) -> float:
    """Processor seconds of a worker; 0 for other processes, and for one that has ended."""
    try:
        return process.cpu_times().user if "spawn_main" in words(process) else 0.0
    except psutil.NoSuchProcess:  # libraries start some when they are imported
        return 0.0


@pytest.mark.full
def test_an_interruption_ends_the_processes(run, tmp_path) -> None:
    for number in range(4):
        prediction.long_clip(tmp_path / f"{number}.mp4") if not number else os.link(
            tmp_path / "0.mp4", tmp_path / f"{number}.mp4"
        )
    command = [sys.executable, "-m", "dfd_train", "predict", str(run), str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out"), "--jobs", "2"], stderr=subprocess.PIPE, text=True
    )
    workers = wait_for_children(process, lambda child: _worked(child) > 3, number=2, within=600)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=120) == 130
    finally:
        process.kill()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive and process.stderr is not None
    assert process.stderr.read().splitlines() == ["dfd-train: interrupted"]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_index_is_searched_filtered_and_sorted(out) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((out / "index.html").as_uri())

        def names() -> list[str]:
            return page.locator(".files tbody tr:visible td > a").all_inner_texts()

        assert len(names()) == 6 and page.locator("#count").inner_text() == ""
        page.fill("#search", "png FACE1")
        assert names() == ["face10.png"]
        assert page.locator("#count").inner_text() == "1 of 6 shown"
        page.fill("#search", "")
        page.select_option("#chosen", "Could not be read")
        assert sorted(names()) == ["b.jpg", "broken.mp4"]
        page.select_option("#chosen", "")
        score = page.get_by_role("button", name="Score")
        for falling, sign in ((True, "descending"), (False, "ascending")):
            score.click()
            assert page.locator("th").nth(2).get_attribute("aria-sort") == sign
            scores = page.locator("[data-score]").evaluate_all(
                "all => all.map(one => Number(one.dataset.score))"
            )
            assert scores == sorted(scores, reverse=falling)
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_of_very_many_rows_the_first_are_shown_and_all_are_searched(out, tmp_path) -> None:
    from playwright.sync_api import sync_playwright

    one = read_result(out / "face0.png")
    assert one is not None
    results = [(f"file{number}", replace(one, file=f"file{number}.png")) for number in range(502)]
    index = write_index(tmp_path, results, Reading(("m",), "x", False, DeployedScore(), None))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(index.as_uri())
        rows, count = page.locator(".files tbody tr"), page.locator("#count")
        more = page.get_by_role("button", name="Show all 502")
        assert rows.count() == 500 and count.inner_text() == "500 of 502 shown"
        page.fill("#search", "file501")
        assert rows.count() == 1 and not more.is_visible()
        page.fill("#search", "")
        more.click()
        assert rows.count() == 502 and count.inner_text() == "" and not more.is_visible()
        page.get_by_role("button", name="File").click()
        assert rows.count() == 500
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert rows.count() == 502
        browser.close()
