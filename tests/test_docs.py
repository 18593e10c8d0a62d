"""The documentation against the code: it builds strictly, its commands exist and run, its pictures and names are true.

In pages, a block ```sh holds commands that run one after another in one folder; ```text holds what only a person does.
"""

import argparse
import csv
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READMES = [ROOT / "README.md", *sorted((ROOT / "packages").glob("*/README.md"))]
BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(ffpp-prep|dfd-train) ([a-z][a-z-]*)([^#|]*)")


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """(title, content) of a page's blocks of one language."""
    return [(title, body) for kind, title, body in BLOCK.findall(page.read_text()) if kind == language]


def commands(page: Path) -> list[str]:
    """The commands of a page's ```sh blocks, lines that continue joined."""
    text = "".join(body for _, body in blocks(page, "sh")).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


# ------------------------------------------------------------------------------------------------- the pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return out


def test_the_site_builds_strictly_with_every_page(site):
    assert {
        page.relative_to(DOCS).with_suffix(".html").as_posix().replace("README", "index") for page in PAGES
    } <= {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in PAGES if page.relative_to(DOCS).as_posix() not in nav] == []


def test_pages_load_nothing_from_other_servers(site):
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*\shref=\"?(?:https?:)?//"
    )
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text()), page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet.name


def test_api_pages_hold_what_they_name(site):
    for page in sorted((DOCS / "api").glob("*.md")):
        html = (site / "api" / f"{page.stem}.html").read_text()
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE):
            assert f'id="{name}"' in html, name


# ---------------------------------------------------------------------------------------- commands and names


def code(page: Path) -> list[str]:
    """Every line of a page's blocks and every span of code in its sentences."""
    text = page.read_text()
    lines = "".join(body for _, _, body in BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    return [line.strip() for line in [*lines, *re.findall(r"`([^`]+)`", BLOCK.sub("", text))]]


def parsers(program: str) -> dict[str, argparse.ArgumentParser]:
    """The parser of each subcommand."""
    package = {"ffpp-prep": "ffpp_prep", "dfd-train": "dfd_train"}[program]
    found = {}
    for name, command in importlib.import_module(f"{package}.commands").COMMANDS:
        found[name] = argparse.ArgumentParser(prog=name)
        command.add_arguments(found[name])
    return found


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_flags_exist(page):
    known = {program: parsers(program) for program in ("ffpp-prep", "dfd-train")}
    for found in filter(None, map(COMMAND.match, code(page))):
        program, name, rest = found.groups()
        assert name in known[program], found[0]
        flags = {flag for action in known[program][name]._actions for flag in action.option_strings}
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest):
            assert flag in flags, found[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_of_code_exist(page):
    text = page.read_text()
    for name in re.findall(r"`((?:ffpp_prep|reseption_models|dfd_train)(?:\.\w+)*)`", text):
        assert exists(name), name
    for path in re.findall(r"`((?:tests|tools|benchmarks|packages|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), path
    presets = ROOT / "packages/dfd-train/src/dfd_train/presets"
    for name in re.findall(r"--config ([\w-]+)(?!\S)", text):
        assert (presets / f"{name}.toml").is_file(), name
    for name in re.findall(r"`((?:reseption|early|dual|xception)-[\w-]+)`", text):
        assert (presets / f"{name}.toml").is_file() or name == "reseption-models", name


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, attribute = name.rpartition(".")
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    return bool(module) and hasattr(importlib.import_module(module), attribute)


def tool(name: str) -> types.ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_the_code_s():
    written = (DOCS / "settings.md").read_text()
    assert written == tool("write_settings").page(), "python tools/write_settings.py docs/settings.md"


def test_the_picture_of_the_architecture_is_true():
    drawing = tool("draw_architecture")
    assert (DOCS / "images/architecture.svg").read_text() == drawing.draw()
    for step in (*drawing.STEPS, drawing.NETWORKS):
        assert exists(step.function), step.function
    drawn = {step.command for step in drawing.STEPS}
    every = {f"{program} {name}" for program in ("ffpp-prep", "dfd-train") for name in parsers(program)}
    assert drawn <= every
    assert {name for name in every - drawn if name.startswith("dfd-train")} <= {
        "dfd-train preview-transforms"
    }


def test_every_table_and_figure_of_the_thesis_has_its_place():
    text = (DOCS / "thesis.md").read_text()
    ranges = re.findall(r"Figs\. (\d)\.(\d+)–\d\.(\d+)|(\d)\.(\d+)–\d\.(\d+)", text)
    named = set(re.findall(r"(?:Figs?\.|Table) (\d\.\d+)", text))
    for chapter, first, last, other, low, high in ranges:
        start, stop = int(first or low), int(last or high)
        named |= {f"{chapter or other}.{number}" for number in range(start, stop + 1)}
    figures = {2: 3, 3: 9, 4: 5, 5: 9, 6: 11, 7: 10}
    tables = {5: 6, 7: 8}
    for counts in (figures, tables):
        for chapter, count in counts.items():
            for number in range(1, count + 1):
                assert f"{chapter}.{number}" in named, f"{chapter}.{number}"
    for table in (f"{chapter}.{n}" for chapter, count in tables.items() for n in range(1, count + 1)):
        assert f"Table {table}" in text, table


def test_the_tutorial_trains_as_the_demonstration_does():
    ((title, settings),) = blocks(DOCS / "tutorial.md", "toml")
    assert title == "settings.toml"
    assert tomllib.loads(settings) == tomllib.loads((ROOT / "tools/demo.toml").read_text())


# -------------------------------------------------------------------------------------------- running them

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
