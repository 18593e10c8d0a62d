"""`dfd-train predict` where one file, the model or the program itself is broken: a row each, and the batch goes on."""

import csv
import json
import os
import re
import shutil
import socket
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import prediction
import pytest
import torch

from dfd_train.cli import main
from dfd_train.engine.score import require_numbers
from dfd_train.errors import NotANumber
from dfd_train.explain.attribution import numbers
from dfd_train.predict import batch
from dfd_train.predict.inputs import LONGEST_NAME, find_inputs, folder_name
from reseption_models import create_model, save_pretrained


@pytest.fixture(scope="module")
def run(small_set, tmp_path_factory) -> Path:
    return prediction.train(small_set.work, tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def face(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("face") / "face.png"
    PIL.Image.fromarray(prediction.faces(1)[0]).save(path)
    return path.read_bytes()


def predicted(run: Path, *arguments: object, status: int) -> dict[str, dict[str, str]]:
    """The rows of summary.csv by file name."""
    out = Path(str(arguments[-1]))
    assert main(["predict", str(run), *map(str, arguments[:-1]), "--out", str(out)]) == status
    assert (out / "index.html").read_text().count("<tr>") - 1 == len(rows(out))
    return {row["file"]: row for row in rows(out)}


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "summary.csv").open(encoding="utf-8")))


def png(path: Path, width: int, height: int) -> None:
    """A grey picture of few bytes whatever it announces."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (width + 1) * height, 9)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_names_of_any_letters_bytes_and_length(run, face, tmp_path, capsys) -> None:
    folder = tmp_path / "in"
    deep = folder / ("访" * 36) / ("人" * 36)
    deep.mkdir(parents=True)
    (folder / ("测" * 82 + ".png")).write_bytes(face)  # 250 bytes
    (folder / ("测" * 81 + "试.png")).write_bytes(face)  # the same once it is cut
    (deep / ("原" * 40 + ".png")).write_bytes(face)
    (folder / ("e\u0301" * 60 + ".png")).write_bytes(face)
    (folder / "\x1b[31mred\x07\n\u202egnp.png").write_bytes(face)
    (folder / "=cmd|'calc'!A1.png").write_bytes(face)
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:  # noqa: PTH123
        file.write(face)
    (folder / "caf\\xe9.png").write_bytes(face)  # what the one before is called on paper
    out = tmp_path / "out"
    found = predicted(run, folder, out, status=0)
    assert {row["status"] for row in rows(out)} == {"scored"} and len(rows(out)) == 8
    assert "\\x1b[31mred\\x07\\x0a\\u202egnp.png" in found
    assert "'=cmd|'calc'!A1.png" in found  # a spreadsheet takes that as text
    folders = {row["folder"] for row in rows(out)}
    assert len(folders) == 8 and all(len(os.fsencode(name)) <= LONGEST_NAME for name in folders)
    assert "caf\\xe9.png" in found and "caf\\x5cxe9.png" in found
    said = capsys.readouterr().out
    assert said.isascii() is False and not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", said)
    for name in folders:
        json.loads((out / name / "result.json").read_text(encoding="utf-8"))
    # what is done is found again, in whatever order names are given
    predicted(run, *sorted(folder.glob("*.png"), reverse=True), out, status=0)
    assert capsys.readouterr().out.count("(was there)") == 7 and len(rows(out)) == 8


def test_a_terminal_without_the_letters_is_no_end(run, face, tmp_path, monkeypatch) -> None:
    (tmp_path / "测.png").write_bytes(face)
    with (tmp_path / "printed").open("w", encoding="ascii") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert main(["predict", str(run), str(tmp_path / "测.png"), "--out", str(tmp_path / "out")]) == 0
        monkeypatch.undo()
    assert r"\u6d4b.png" in (tmp_path / "printed").read_text()


def test_what_is_no_file_has_its_row(run, face, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.png").write_bytes(face)
    (folder / "gone.mp4").symlink_to("/nowhere/gone.mp4")
    (folder / "circle.mp4").symlink_to("circle.mp4")
    (folder / "round.png").symlink_to("about.png")
    (folder / "about.png").symlink_to("round.png")
    (folder / "under.png").symlink_to(folder / "good.png" / "x.png")
    (folder / "null.png").symlink_to("/dev/null")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.mp4")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(folder)  # the path of a socket is short
        listening.bind("socket.mov")
        os.chdir(here)
        found = predicted(run, folder, *sorted(folder.glob("*.mp4")), tmp_path / "out", status=1)
    reasons = {name: row["reason"] for name, row in found.items() if row["status"] == "unreadable"}
    assert reasons == {
        "gone.mp4": "this link leads to gone.mp4, which is not there",
        "under.png": "this link leads to x.png, which is not there",
        **dict.fromkeys(("circle.mp4", "round.png", "about.png"), "this link leads in a circle"),
        "null.png": "this is a device, not a file",
        **dict.fromkeys(("pipe.png", "pipe.mp4"), "this is a named pipe, not a file"),
        "socket.mov": "this is a socket, not a file",
    }
    assert found["good.png"]["status"] == "scored"
    # what was no file may be one the next time
    (folder / "pipe.png").unlink()
    (folder / "pipe.png").write_bytes(face)
    assert predicted(run, folder, tmp_path / "out", status=1)["pipe.png"]["status"] == "scored"


def test_a_folder_that_cannot_be_listed_has_its_row(run, face, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.png").write_bytes(face)
    here = Path.cwd()
    os.chdir(tmp_path / "in")
    for _ in range(18):  # deeper than the system takes a path
        Path("d" * 240).mkdir()
        os.chdir("d" * 240)
    os.chdir(here)
    found = predicted(run, tmp_path / "in", tmp_path / "out", status=1)
    assert found["good.png"]["status"] == "scored" and len(found) == 2
    (other,) = (row for name, row in found.items() if name != "good.png")
    assert other["reason"] == "it can't be read: File name too long"
    shutil.rmtree(tmp_path / "in")  # not left to pytest, which is slow at that


def test_pictures_of_absurd_shapes_have_their_rows(run, face, tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.png").write_bytes(face)
    png(folder / "wide.png", 67_000_000, 1)
    png(folder / "high.png", 1, 1_000_000)
    png(folder / "dot.png", 1, 1)
    found = predicted(run, folder, tmp_path / "out", status=1)
    assert found["good.png"]["status"] == "scored" and found["dot.png"]["status"] == "no_usable_face"
    assert found["high.png"]["status"] == found["wide.png"]["status"] == "unreadable"
    assert "67000000x1" in found["wide.png"]["reason"]


def test_a_fault_of_the_program_is_no_unreadable_file(run, face, tmp_path, monkeypatch) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(face)
    judge = batch.judge

    def faulty(file, *others):
        if file.name == "a.png":
            raise ValueError("operands could not be broadcast together")
        return judge(file, *others)

    monkeypatch.setattr(batch, "judge", faulty)
    found = predicted(run, folder, out, status=70)
    assert [(name, row["status"]) for name, row in found.items()] == [
        ("a.png", "internal_error"),
        ("b.png", "scored"),
    ]
    assert found["a.png"]["reason"] == "ValueError: operands could not be broadcast together"
    said = (out / "a.png/traceback.log").read_text()
    assert "in faulty" in said and 'File "dfd_train/predict/batch.py"' in said
    assert str(Path(__file__).parent) not in said and str(tmp_path) not in said
    assert "The program failed at this file" in (out / "a.png/report.html").read_text()
    assert "1 at which the program failed" in (out / "index.html").read_text()
    monkeypatch.undo()
    assert predicted(run, folder, out, status=0)["a.png"]["status"] == "scored"


def test_a_disk_that_refuses_leaves_table_and_index_of_what_was_done(
    run, face, tmp_path, monkeypatch
) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(face)
    write = batch.write_outputs

    def full(folder, *others, **more):
        if folder.name == "b.png":
            raise OSError(28, "No space left on device")
        return write(folder, *others, **more)

    monkeypatch.setattr(batch, "write_outputs", full)
    found = predicted(run, tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out", status=3)
    assert list(found) == ["a.png"]


def test_results_never_take_the_place_of_other_files(run, face, tmp_path) -> None:
    for name in ("face.png", "index.html", "summary.csv"):
        (tmp_path / name).write_bytes(face)
    paths = [tmp_path / name for name in ("face.png", "index.html", "summary.csv")]
    assert main(["predict", str(run), *map(str, paths), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "face.png").read_bytes() == face
    assert (tmp_path / "face.png-2/result.json").is_file() and (tmp_path / "index.html-2").is_dir()


def test_a_model_that_gives_no_numbers_is_said_to(run, face, tmp_path, capsys) -> None:
    broken = prediction.not_numbers(run, tmp_path / "broken")
    (tmp_path / "face.png").write_bytes(face)
    said = "gives no number (NaN, infinity or beyond 1e9) as the logit of"
    for command in (
        ["evaluate", broken, "--workers", "0"],
        ["robustness", broken, "--only", "blur", "--out", tmp_path / "robustness", "--workers", "0"],
        ["explain", broken, "--out", tmp_path / "explained", "--samples", "20"],
        ["predict", broken, tmp_path / "face.png", "--out", tmp_path / "out"],
        ["export", broken, "--out", tmp_path / "weights.onnx"],
    ):
        capsys.readouterr()
        assert main([str(part) for part in command]) == 3, command
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert line.startswith("dfd-train: ") and said in line, line
    assert not list(broken.glob("predictions-test*")) or (run / "predictions-test.parquet").exists()
    # where nothing has to be scored beforehand, it is a row
    for name in ("calibration.json", "predictions-val.parquet"):
        (broken / name).unlink(missing_ok=True)
    prediction.lose_data(broken)
    (tmp_path / "empty.png").write_bytes(b"")
    found = predicted(broken, tmp_path / "face.png", tmp_path / "empty.png", tmp_path / "out", status=3)
    assert found["face.png"]["status"] == "not_a_number" and said in found["face.png"]["reason"]
    assert found["empty.png"]["status"] == "unreadable"
    assert "The model failed, no score" in (tmp_path / "out/face.png/report.html").read_text()


@pytest.mark.parametrize("logit", [3.4e38, -3.4e38, 2e9, float("nan"), float("-inf")])
def test_a_logit_that_overflows_next_is_no_number(logit) -> None:
    """A regression over such logits, as LIME's, would not be finite."""
    with pytest.raises(NotANumber, match="of 1 of 2 crops"):
        require_numbers(np.array([logit, 0], np.float32), "it")
    with pytest.raises(NotANumber, match="of 1 of 1 crop:"):
        require_numbers(np.array([logit], np.float32), "it")
    with pytest.raises(NotANumber, match="there is no explanation"):
        numbers(torch.tensor([logit, 0.0]))
    assert require_numbers(np.array([1e9]), "it") == numbers(torch.tensor([1e9], dtype=torch.float64)).numpy()


@pytest.mark.parametrize("kind", ["image", "crop"])
def test_explain_leaves_out_what_is_no_file(run, face, tmp_path, caplog, kind) -> None:
    (tmp_path / "good.png").write_bytes(face)
    (tmp_path / "gone.png").symlink_to("/nowhere/gone.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    os.mkfifo(tmp_path / "pipe.png")
    files = [str(tmp_path / f"{name}.png") for name in ("gone", "good", "circle", "pipe")]
    arguments = ["explain", str(run), "--out", str(tmp_path / "out"), "--samples", "20", f"--{kind}", *files]
    assert main(arguments) == 1
    assert (tmp_path / "out/explain.html").is_file()
    for reason in ("which is not there", "this link leads in a circle", "this is a named pipe"):
        assert reason in caplog.text


def test_long_names_are_told_apart_and_stay_the_same() -> None:
    long = [folder_name("a" * 200 + end) for end in (".png", "b.png", ".jpg")]
    assert len(set(long)) == 3 and long[0].endswith(".png") and len(long[0]) == LONGEST_NAME
    assert folder_name("a" * 200 + ".png") == long[0]
    assert folder_name("short name.png") == "short_name.png"


def test_a_folder_of_links_is_walked_once(face, tmp_path) -> None:
    (tmp_path / "face.png").write_bytes(face)
    (tmp_path / "again.png").symlink_to("face.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    for name in ("a.png", "b.png"):  # two rows, although both lead to the same nothing
        (tmp_path / name).symlink_to("/nowhere/gone.png")
    assert [file.name for file in find_inputs([tmp_path])] == ["a.png", "again.png", "b.png"]


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LFS, "a Git LFS pointer in the file's place"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page in the file's place"),
        (b"", "empty"),
    ],
)
@pytest.mark.parametrize("kind", ["run", "weights", "onnx", "members"])
def test_what_stands_in_the_place_of_weights_is_named(
    run, face, tmp_path, capsys, content, said, kind
) -> None:
    (tmp_path / "face.png").write_bytes(face)
    if kind == "onnx":
        model = file = tmp_path / "model.onnx"
    elif kind == "weights":
        model = tmp_path / "model"
        save_pretrained(create_model("reseption_v1_tiny"), model)
        file = model / "model.safetensors"
    else:
        model = tmp_path / "run"
        shutil.copytree(run, model)
        file = model / "checkpoints/best.pt"
    file.write_bytes(content)
    command = ["predict", str(model), str(tmp_path / "face.png"), "--out", str(tmp_path / "out")]
    if kind == "members":
        command = ["run", "--config", str(run / "config.toml"), "--out", str(tmp_path / "joined")]
        command += ["--model", "reseption_ensemble", "--members", f"{model},{model}"]
    capsys.readouterr()
    assert main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert said in line and file.name in line, line
