"""A flipped bit in any file that a later step trusts: it is refused or said, with the file's name, or changes nothing.

Every file of a work folder, a run, exports and answers, as our own commands write them, and all that reads it.
"""

import logging
import os
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import prediction
import pytest
from clips import one_process

from dfd_train.cli import main as dfd_train
from dfd_train.engine.evaluate import EvaluationRequest, evaluate
from dfd_train.predict.loading import load_scorer
from dfd_train.predict.outputs import read_result
from dfd_train.report.run import read_run
from ffpp_prep.cli import main as ffpp_prep
from ffpp_prep.work.fakes import read_fakes

pytestmark = pytest.mark.full
FLIPS = int(os.environ.get("DFD_FLIPS", "2"))  # of each file
NETWORK = [
    "--model",
    "reseption_v1",
    "--set",
    "model.arguments.width_multiplier=0.125",
    "--input-size",
    "75",
]
# locks, and what is written for people only; nothing reads it again
FOR_PEOPLE = {
    ".lock",
    "refused.csv",
    "epochs.csv",
    "report.html",
    "frames.csv",
    "annotated.png",
    "plan-copy.json",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """WORK, run/, model.onnx, weights/ and answers/."""
    folder = tmp_path_factory.mktemp("made")
    rows = ["path,label,split,original_id,method"]
    for number, picture in enumerate(("real", "fake") * 2):
        frames = [np.roll(frame, 3 * number, 1) for frame in prediction.faces(3)]
        name = f"{number}.mp4"
        prediction.encode(folder / "clips" / name, frames)
        original = f"clips/{number - 1}.mp4" if number % 2 else ""
        rows.append(f"clips/{name},{picture},{'train' if number < 2 else 'val'},{original},m")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    work, run = str(folder / "WORK"), str(folder / "run")
    assert ffpp_prep(["extract", str(folder / "list.csv"), "-o", work, "--jobs", "1"]) == 0
    assert ffpp_prep(["check-fakes", work, "--jobs", "1"]) == 0
    assert dfd_train(["run", *train(folder)]) == 0
    for out in ("model.onnx", "weights"):
        assert dfd_train(["export", run, "--out", str(folder / out)]) == 0
    PIL.Image.fromarray(prediction.faces(1)[0]).save(folder / "face.png")
    assert dfd_train(["predict", run, str(folder / "face.png"), "--out", str(folder / "answers")]) == 0
    return folder


def train(folder: Path) -> list[str]:
    return [
        *("--data", str(folder / "WORK"), *NETWORK, "--batch-size", "2", "--workers", "0", "--epochs", "1"),
        # every clip shows one person, moved by some pixels
        *("--allow-leaks", "--device", "cpu", "--threads", "1", "--out", str(folder / "run")),
    ]


CROP = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)


def score(model: Path) -> object:
    scorer = load_scorer(model, "cpu")
    facts = scorer.facts
    return (
        scorer.logits([CROP]).tolist(),
        facts.geometry,
        facts.temperature,
        facts.threshold,
        facts.calibration,
    )


def evaluated(folder: Path) -> object:
    found = evaluate(folder / "run", EvaluationRequest(split="val", device="cpu", workers=0)).predictions
    return found.to_json(double_precision=15)


def status(*arguments: str) -> Callable[[Path], object]:
    """What a command of ffpp-prep returns, its workers' tasks done in this process."""

    def read(folder: Path) -> int:
        with one_process():
            return ffpp_prep([argument.replace("FOLDER", str(folder)) for argument in arguments])

    return read


def resumed(folder: Path) -> object:
    return dfd_train(["run", *train(folder)])


READERS: dict[str, list[Callable[[Path], object]]] = {
    "WORK": [
        evaluated,
        status("status", "FOLDER/WORK"),
        status("check-splits", "FOLDER/WORK"),
        status("extract", "FOLDER/WORK", "--jobs", "1"),
        status("verify", "FOLDER/WORK", "--jobs", "1"),
        lambda folder: read_fakes(folder / "WORK").to_json(),
    ],
    "run": [
        evaluated,
        lambda folder: score(folder / "run"),
        lambda folder: repr(read_run(folder / "run").config) + read_run(folder / "run").epochs.to_json(),
        lambda folder: [repr(p.frames.to_json()) for p in read_run(folder / "run").predictions],
        resumed,
    ],
    "model.onnx": [lambda folder: score(folder / "model.onnx")],
    "weights": [lambda folder: score(folder / "weights")],
    "answers": [lambda folder: read_result(folder / "answers/face.png")],
}


def flips(path: Path) -> list[int]:
    bits = 8 * path.stat().st_size
    drawn = random.Random(path.name).sample(range(bits), min(FLIPS, bits))
    padding = torch_padding(path) if path.suffix == ".pt" else set()
    return [bit for bit in drawn if bit // 8 not in padding]


def torch_padding(path: Path) -> set[int]:
    """The bytes by which torch aligns a checkpoint's parts: no checksum covers them, and nobody reads them."""
    content, found = path.read_bytes(), set()
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name, extra = struct.unpack_from("<HH", content, member.header_offset + 26)
            begin = member.header_offset + 30 + name
            found |= set(range(begin + 4, begin + extra))
    return found


def restore(whole: Path, made: Path) -> None:
    """Makes every file what it was; readers write some anew."""
    for source in whole.rglob("*"):
        target = made / source.relative_to(whole)
        if source.is_file() and (not target.is_file() or target.read_bytes() != source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


@pytest.mark.parametrize("part", READERS)
def test_every_file_that_is_trusted(made, tmp_path, part, capsys, caplog) -> None:
    caplog.set_level(logging.WARNING)
    whole = tmp_path / "whole"
    shutil.copytree(made, whole)
    expected = []
    for read in READERS[part]:
        expected.append(read(made))
        restore(whole, made)
    files = (
        [made / part]
        if (made / part).is_file()
        else sorted(p for p in (made / part).rglob("*") if p.is_file())
    )
    files = [path for path in files if path.name not in FOR_PEOPLE]
    silent, refused = [], 0
    for path in files:
        restore(whole, made)
        for bit in flips(path):
            content = bytearray(path.read_bytes())
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            for number, read in enumerate(READERS[part]):
                capsys.readouterr()
                caplog.clear()
                try:
                    same = read(made) == expected[number]
                except (ValueError, OSError) as error:
                    same, said = False, str(error)
                else:
                    out, err = capsys.readouterr()
                    said = out + err + caplog.text
                if not same:
                    named = path.name in said or path.parent.name in said
                    refused += named
                    if not named:
                        silent.append((str(path.relative_to(made)), bit, number, said[-300:]))
                restore(whole, made)
                path.write_bytes(content)
            restore(whole, made)
    print(f"{part}: {len(files)} files, {refused} times refused or said, {len(silent)} silent")
    assert not silent and refused
