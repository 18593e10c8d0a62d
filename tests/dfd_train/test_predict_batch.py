"""`dfd-train predict` over many files: what can't be read, what is there already, a batch that is killed, mistakes."""

import contextlib
import csv
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import PIL.Image
import prediction
import pytest

from dfd_train.cli import main
from dfd_train.predict import batch, outputs
from dfd_train.predict.copies import copies
from dfd_train.predict.inputs import source_of
from dfd_train.predict.outputs import read_result
from ffpp_prep.format.files import sha256_of
from ffpp_prep.video import VideoError


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Two people, 60 frames of 480x288."""
    return prediction.two_people(tmp_path_factory.mktemp("clips") / "two.mp4")


def scored(*arguments: object, status: int = 0) -> None:
    assert main(["predict", *map(str, arguments)]) == status


def test_broken_files_are_recorded_and_the_rest_goes_on(run, two, tmp_path, caplog, capsys) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(two.read_bytes()[:3000])
    (folder / "b.jpg").write_bytes(b"no image")
    (folder / "c.mp4").write_bytes(b"")
    (folder / "e.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\nshowpage\n"
    )
    (folder / "f.mp4").write_text("#EXTM3U\n#EXTINF:1,\n../other.mp4\n")
    (folder / "g.HEIC").write_bytes(b"a phone's picture")
    prediction.sound_only(folder / "h.mp4")
    (folder / "notes.txt").write_text("not a video")
    PIL.Image.fromarray(prediction.faces(1)[0]).save(folder / "d.png")
    caplog.set_level("INFO")
    scored(run, folder, "--out", tmp_path / "out", status=1)
    rows = list(csv.DictReader((tmp_path / "out/summary.csv").open()))
    assert [(row["file"], row["status"]) for row in rows] == [
        *(("a.mp4", "unreadable"), ("b.jpg", "unreadable"), ("c.mp4", "unreadable"), ("d.png", "scored")),
        *(("e.jpg", "unreadable"), ("f.mp4", "unreadable"), ("g.HEIC", "unreadable")),
        ("h.mp4", "unreadable"),
    ]
    assert [row["reason"] for row in rows][1:3] == [
        "no readable picture: the content is no picture that is known here",
        "the file is empty",
    ]
    assert "1 other file skipped: notes.txt" in caplog.text
    assert rows[0]["reason"].startswith("this is not a video, or it is damaged (")
    page = (tmp_path / "out/a.mp4/report.html").read_text()
    told = "or it is damaged or incomplete: ask for it again. This says nothing about real or fake."
    assert told in page and "frames.csv" not in page
    assert "frames.csv" in (tmp_path / "out/d.png/report.html").read_text()
    assert (
        "It holds sound and no video. This says nothing" in (tmp_path / "out/h.mp4/report.html").read_text()
    )
    assert rows[6]["reason"] == "HEIC pictures can't be read; save this one as JPEG"
    assert "8 files: 1 scored, 0 without a usable face, 7 unreadable; " in capsys.readouterr().out
    assert "7 unreadable" in (tmp_path / "out/index.html").read_text()


def test_the_index_stands_over_earlier_commands_too(run, tmp_path) -> None:
    out = tmp_path / "out"
    for name in ("b.png", "a.png"):
        PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / name)
        scored(run, tmp_path / name, "--out", out)
    rows = list(csv.DictReader((out / "summary.csv").open()))
    assert [row["folder"] for row in rows] == ["a.png", "b.png"]
    assert all(row["models"] == "one (tiny_networks:with_batch_norm)" for row in rows)
    page = (out / "index.html").read_text()
    assert "a.png/report.html" in page and "b.png/report.html" in page and "2 scored" in page
    # the same bytes under two names are pointed out
    assert "2 files are not unique" in page and rows[0]["file_sha256"] == sha256_of(tmp_path / "a.png")
    assert [row["same_bytes_as"] for row in rows] == ["b.png", "a.png"]
    for other in ("a.png", "b.png"):
        assert f'same bytes as <a href="{other}/report.html">{other}</a>' in page
    # and when each was scored
    shown = re.findall(r"(\S+ \S+), SHA-256 (\w{8})…", page)
    assert [sha256 for _, sha256 in shown] == [sha256_of(tmp_path / "a.png")[:8]] * 2
    assert all(datetime.fromisoformat(made.rpartition(">")[2]).tzinfo for made, _ in shown)


def test_of_many_equal_files_one_is_named_and_the_others_counted(run, tmp_path) -> None:
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "a.png")
    scored(run, tmp_path / "a.png", "--out", tmp_path / "out")
    one = read_result(tmp_path / "out/a.png")
    assert one is not None and one.evidence is not None
    other = replace(one, file="other.png", evidence=replace(one.evidence, file_sha256="0" * 64))
    unread = replace(one, evidence=replace(one.evidence, file_sha256=""))
    found = copies([("a", one), ("b", replace(one, file="b.png")), ("c", one), ("d", other), ("e", unread)])
    assert {folder: (copy.folder, copy.said) for folder, copy in found.items()} == {
        "a": ("b", "b.png and 1 more"),
        "b": ("a", "a.png and 1 more"),
        "c": ("a", "a.png and 1 more"),
    }
    assert not copies([("e", unread), ("f", unread), ("g", replace(one, evidence=None))])


def test_the_index_names_what_another_state_of_the_model_scored(run, small_set, tmp_path) -> None:
    other = prediction.train(small_set.work, tmp_path / "later" / "one", seed=2)  # a run of the same name
    out = tmp_path / "out"
    for number, (model, name) in enumerate(((run, "a.png"), (run, "b.png"), (other, "b.png"))):
        PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / name)
        scored(model, tmp_path / name, "--out", out)
        page = (out / "index.html").read_text()
        assert ("1 file was scored with another model" in page) == (number == 2)
    assert page.count("scored with another model or state of it") == 1
    a, b = csv.DictReader((out / "summary.csv").open())
    assert a["models"] == b["models"] and a["models_sha256"] != b["models_sha256"]


def test_a_namesake_from_elsewhere_gets_its_own_folder(run, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    for number, place in enumerate(("one", "two")):
        (tmp_path / place).mkdir()
        face = prediction.faces(1)[0][:, :: 1 - 2 * number].copy()
        PIL.Image.fromarray(face).save(tmp_path / place / "face.png")
        scored(run, tmp_path / place / "face.png", "--out", out)
    first, second = (read_result(out / name) for name in ("face.png", "face.png-2"))
    assert first is not None and first.source == source_of(str(tmp_path / "one/face.png"))
    assert second is not None and second.source == source_of(str(tmp_path / "two/face.png"))
    capsys.readouterr()
    scored(run, tmp_path / "two/face.png", "--out", out)
    assert "face.png-2/report.html (was there)" in capsys.readouterr().out
    assert len(list(csv.DictReader((out / "summary.csv").open()))) == 2


def test_what_is_done_is_not_done_again(run, tmp_path, capsys) -> None:
    source, out = tmp_path / "face.png", tmp_path / "out"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(source)
    scored(run, source, "--out", out)
    left = out / ".tmp-1-other"  # of a run that was killed
    left.mkdir()
    first = (out / "face.png/result.json").stat().st_mtime_ns
    capsys.readouterr()
    scored(run, source, "--out", out)
    assert (out / "face.png/result.json").stat().st_mtime_ns == first and not left.exists()
    assert "(was there)" in capsys.readouterr().out
    # other settings, another content: scored anew, in the same place
    scored(run, source, "--out", out, "--every-frame")
    second = (out / "face.png/result.json").stat().st_mtime_ns
    PIL.Image.fromarray(prediction.faces(1)[0][:, ::-1].copy()).save(source)
    scored(run, source, "--out", out, "--every-frame")
    assert first < second < (out / "face.png/result.json").stat().st_mtime_ns
    assert sorted(p.name for p in out.iterdir()) == ["face.png", "index.html", "summary.csv"]


def test_what_another_command_is_writing_stays(tmp_path) -> None:
    killed = tmp_path / ".tmp-2-b.mp4"
    killed.mkdir()
    with outputs._replaced_folder(tmp_path / "a.mp4") as half:
        (half / "annotated.mp4").write_bytes(b"half")
        outputs.sweep(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [half.name]
        assert (half / "annotated.mp4").exists()
    assert (tmp_path / "a.mp4/annotated.mp4").exists()


@pytest.mark.parametrize("made", [VideoError("broken"), RuntimeError("a bug"), None])
def test_a_library_that_makes_another_error_of_an_interruption_ends_no_file(
    run, tmp_path, monkeypatch, made: Exception | None
) -> None:
    """Seen once: the file was an `internal_error`, and the others were scored."""
    for number in range(2):
        PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / f"{number}.png")
    real = batch.analyse

    def interrupted(*arguments: Any) -> Any:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        if made is not None:
            raise made
        return real(*arguments)

    out = tmp_path / "out"
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(batch, "analyse", interrupted)
    try:
        files = [str(tmp_path / f"{number}.png") for number in range(2)]
        assert main(["predict", str(run), *files, "--out", str(out)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(out.glob("*/result.json"))


@pytest.mark.full
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_is_stopped_goes_on(run, tmp_path, how) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for number in range(3):
        prediction.encode(folder / f"{number}.mp4", prediction.faces(16))
    command = [
        sys.executable,
        "-m",
        "dfd_train",
        "predict",
        str(run),
        str(folder),
        "--out",
        str(out),
        "--every-frame",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    first = out / "0.mp4/result.json"
    while not first.exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert said.strip().splitlines()[-1] == "dfd-train: interrupted"
        assert not list(out.glob(".tmp-*"))
    assert not (out / "2.mp4").exists()
    for done in out.glob("[0-9].mp4"):  # whatever is there is whole
        assert {path.name for path in done.iterdir()} == {
            *("result.json", "frames.csv", "timeline.png", "annotated.mp4", "report.html"),
        }
    written = first.stat().st_mtime_ns
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert first.stat().st_mtime_ns == written
    assert sorted(path.name for path in out.iterdir()) == [
        "0.mp4",
        "1.mp4",
        "2.mp4",
        "index.html",
        "summary.csv",
    ]


def test_a_terminal_is_told_how_far_it_is(run, two, tmp_path, monkeypatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    said = []

    def listen() -> None:
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while part := os.read(ours, 4096):
                said.append(part)

    listening = threading.Thread(target=listen)
    listening.start()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        scored(run, two, "--out", tmp_path / "out")
        monkeypatch.undo()
    listening.join(60)
    os.close(ours)
    for stage in (b"scoring", b"annotating"):
        line = rb"two.mp4: " + stage + rb":.*\| \d/2 s of video \[00:\d\d, .* left\]"
        assert re.search(line, b"".join(said)), said


def test_names_from_outside_do_no_harm(run, tmp_path) -> None:
    name = "<script>alert(1)</script> & ../ü 'x'.png".replace("/", "∕")
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / name)
    scored(run, tmp_path / name, "--out", tmp_path / "out")
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert set(folder.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-ü"), folder.name
    assert "<script>alert" not in (folder / "report.html").read_text()
    assert "<script>alert" not in (tmp_path / "out/index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN"], "one was taken as the model; name videos"),
        (["clip.mp4"], "clip.mp4 is no model: the model comes first, then the files"),
        (["RUN", "nowhere.mp4"], "no such file or folder: nowhere.mp4"),
        (["RUN", "FACE", "nowhere.mp4"], "nowhere.mp4; nothing was scored, the other files neither"),
        (
            ["nowhere", "FACE"],
            "no such model: nowhere; a model is a folder that `dfd-train run --out` or `dfd-train adopt` wrote",
        ),
        (["FACE", "RUN"], "is no model: the model comes first, then the files"),
        (["EMPTY", "FACE"], "is no model; allowed: a run folder"),
        (["RUN", "EMPTY"], "no video or image in this folder"),
        (["RUN", "FACE", "--with", "nowhere"], "no such model: nowhere"),
        (["RUN", "FACE", "--labelled", "nowhere"], "no such folder: nowhere"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, arguments, message) -> None:
    PIL.Image.fromarray(prediction.faces(1)[0]).save(tmp_path / "face.png")
    (tmp_path / "empty").mkdir()
    places = {"RUN": run, "FACE": tmp_path / "face.png", "EMPTY": tmp_path / "empty"}
    capsys.readouterr()
    scored(*(places.get(a, a) for a in arguments), "--out", tmp_path / "out", status=2)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "out").exists()
