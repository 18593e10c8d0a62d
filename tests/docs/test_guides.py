"""Every command of the tutorial and the guides runs, as it stands there, on the sample data."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from markdown_pages import DOCS, blocks, commands

SHORT = """#!{python}
# `dfd-train` for guides: training is one step of a small network, scoring one frame a video.
import os, sys
arguments = sys.argv[1:]
if arguments[0] == "run":
    arguments += "--epochs 1 --max-steps 1 --batch-size 4 --val-frames 1 --test-frames 1 --workers 0".split()
    if "ensemble" not in arguments:
        arguments += ["--input-size", "75", "--no-pretrained"]
    if not any(name in " ".join(arguments) for name in ("ensemble", "inception", "resnext")):
        arguments += ["--set", "model.arguments.width_multiplier=0.125"]
if arguments[0] in ("evaluate", "robustness"):
    arguments += ["--frames", "1", "--workers", "0"]
if arguments[0] == "explain":
    arguments[arguments.index("--samples") + 1] = "20"
os.execv({real!r}, [{real!r}, *arguments])
"""


@dataclass
class Shell:
    """Runs a page's commands in one folder; ffpp-prep may say that some videos failed."""

    folder: Path
    path: str
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, page: Path) -> None:
        for title, body in blocks(page, "toml"):
            (self.folder / title).write_text(body)
        for command in commands(page):
            assignment = re.fullmatch(r"([A-Z]+)=\S+", command)
            if assignment:
                assert assignment[1] in self.variables, f"{page.name}: {command}"
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder, env={**os.environ, **self.variables, "PATH": self.path},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            allowed = (0, 1) if command.startswith("ffpp-prep") else (0,)
            assert done.returncode in allowed, (
                f"{page.name}: {command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )


BIN = str(Path(sys.executable).parent)


@pytest.fixture
def shell(tmp_path) -> Iterator[Shell]:
    """A folder in which training is cut short."""
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "dfd-train").write_text(SHORT.format(python=sys.executable, real=f"{BIN}/dfd-train"))
    (shims / "dfd-train").chmod(0o755)
    (tmp_path / "here").mkdir()
    yield Shell(tmp_path / "here", os.pathsep.join([str(shims), BIN, os.environ["PATH"]]))


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("docs") / "data"
    subprocess.run([f"{BIN}/ffpp-prep", "sample", str(root)], check=True, capture_output=True)
    return root


@pytest.mark.full
def test_the_tutorial_runs(tmp_path):
    shell = Shell(tmp_path, os.pathsep.join([BIN, os.environ["PATH"]]))
    shell.run(DOCS / "tutorial.md")
    for name in ("run/report.html", "predicted", "explained/explain.html", "detector.onnx", "transforms.png"):
        assert (tmp_path / name).exists(), name


@pytest.mark.full
def test_the_guide_to_ffpp_runs(shell, sample, tmp_path):
    shell.variables["FFPP"] = str(ffpp_set(sample, tmp_path / "ffpp"))
    shell.run(DOCS / "ffpp.md")
    table = (shell.folder / "comparison/tables").glob("*7*6*.csv")
    assert any("Deepfakes" in file.read_text() for file in table)
    assert (shell.folder / "explained/explain.html").is_file()


@pytest.mark.full
def test_the_guide_to_dfdc_runs(shell, sample, tmp_path):
    shell.variables["DFDC"] = str(dfdc_set(sample, tmp_path / "dfdc"))
    shell.run(DOCS / "dfdc.md")


@pytest.mark.full
def test_the_guide_to_own_data_runs(shell, sample, tmp_path):
    shell.variables |= {
        "MINE": str(folder_set(sample, tmp_path / "mine")),
        "TABLE": str(table_set(sample, tmp_path / "clips")),
    }
    shell.run(DOCS / "own-data.md")


def pairs(sample: Path) -> list[tuple[str, Path, Path]]:
    """(split, original, fake): two Deepfakes of each official split, each with the video that it was made from."""
    found = []
    for split in ("train", "val", "test"):
        ids = json.loads((sample / f"splits/{split}.json").read_text())
        own = []
        for target, source in [*ids, *(pair[::-1] for pair in ids)]:
            fake = sample / f"manipulated_sequences/Deepfakes/c23/videos/{target}_{source}.mp4"
            original = sample / f"original_sequences/youtube/c23/videos/{target}.mp4"
            if fake.is_file() and fake.stat().st_size and original.is_file():
                own.append((split, original, fake))
        found += own[:2]
    assert len(found) == 6
    return found


def ffpp_set(sample: Path, root: Path) -> Path:
    """The sample's videos of the first pair of each official split: all methods with masks, but DeepFakeDetection."""
    shutil.copytree(sample / "splits", root / "splits")
    lists = [json.loads((sample / f"splits/{split}.json").read_text()) for split in ("train", "val", "test")]
    first = {name for pairs in lists for name in pairs[0]}
    for video in sample.rglob("*.mp4"):
        if set(video.stem.split("_")) <= first:
            (root / video.relative_to(sample)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(video, root / video.relative_to(sample))
    shutil.copy(sample / "SAMPLE.json", root)
    return root


def dfdc_set(sample: Path, root: Path) -> Path:
    """One part; its split is drawn, so that every original and its fake stand in it several times."""
    part = root / "dfdc_train_part_0"
    part.mkdir(parents=True)
    entries = {}
    for number in range(4):
        for _, original, fake in pairs(sample):
            real, forged = f"{original.stem}x{number}.mp4", f"{fake.stem}x{number}.mp4"
            shutil.copy(original, part / real)
            shutil.copy(fake, part / forged)
            entries[real] = {"label": "REAL", "split": "train"}
            entries[forged] = {"label": "FAKE", "split": "train", "original": real}
    (part / "metadata.json").write_text(json.dumps(entries))
    return root


def folder_set(sample: Path, root: Path) -> Path:
    for split, original, fake in pairs(sample):
        for source, place in ((original, "real"), (fake, "fake/faceswap")):
            (root / split / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / split / place / source.name)
    return root


def table_set(sample: Path, root: Path) -> Path:
    """The table with the columns that the page shows."""
    ((_, shown),) = [block for block in blocks(DOCS / "own-data.md", "text") if block[0] == "list.csv"]
    (root / "clips").mkdir(parents=True)
    with (root / "list.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, shown.splitlines()[0].split(","))
        writer.writeheader()
        for split, original, fake in pairs(sample):
            for source in (original, fake):
                shutil.copy(source, root / "clips" / source.name)
            real = {"path": f"clips/{original.name}", "label": 0, "split": split, "target_id": original.stem}
            forged = {
                "path": f"clips/{fake.name}",
                "label": 1,
                "method": "faceswap",
                "original_id": real["path"],
            }
            writer.writerows([real, forged | {"split": split, "target_id": original.stem}])
    return root / "list.csv"
