"""Where a case is run: a copy of its folder, the commands as a user types them, and what several cases need."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

BINARIES = Path(sys.executable).parent
ENDS_WITHIN = 300.0  # seconds, for a command of which a case doesn't say how long it may take


class CannotRun(Exception):
    """This machine lacks what the case needs; the message says what."""


def cases_folder() -> Path | None:
    """The nearest `shared/cases` beside or above the repository; DFD_CASES names another; None where there is none."""
    named = os.environ.get("DFD_CASES")
    places = [Path(named)] if named else [p / "shared/cases" for p in Path(__file__).resolve().parents]
    return next((place for place in places if place.is_dir()), None)


@dataclass(frozen=True)
class Answer:
    """What a command did. `code` is None where it had to be killed; then `seconds` is how long it was waited for."""

    code: int | None
    out: str
    seconds: float

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.out


class Bench:
    """One case at work in a copy of all cases (they name their neighbours), made below `folder`."""

    def __init__(self, case: str, cases: Path, folder: Path) -> None:
        shutil.copytree(cases, folder / "cases", symlinks=True, ignore=shutil.ignore_patterns("scale"))
        self.case = case
        self.folder = folder / "cases" / case
        self.outside = folder
        self._binaries = folder / "bin"
        self._binaries.mkdir()
        if shutil.which("ffmpeg") is None and find_spec("imageio_ffmpeg") is not None:
            from imageio_ffmpeg import get_ffmpeg_exe

            (self._binaries / "ffmpeg").symlink_to(get_ffmpeg_exe())

    def make(self) -> Answer:
        """Runs make.py or make.sh."""
        (script,) = self.folder.glob("make.*")
        if any(word in script.read_text() for word in ("ffmpeg(", "base(")):
            self._need_ffmpeg()
        command = [sys.executable, script.name] if script.suffix == ".py" else ["sh", script.name]
        made = self.run(*command)
        if script.suffix == ".py" and made.code != 0:
            raise CannotRun(f"{script.name} failed: {made.out.strip().splitlines()[-1]}")
        return made

    def run(self, *command: object, within: float = ENDS_WITHIN, **variables: str) -> Answer:
        """Runs a command in the case's folder; whatever of it is left after `within` seconds is killed."""
        started = time.monotonic()
        with self.start(*command, **variables) as process:
            try:
                out, _ = process.communicate(timeout=within)
                code: int | None = process.returncode
            except subprocess.TimeoutExpired:
                out, code = kill(process), None
        return Answer(code, out, time.monotonic() - started)

    def start(self, *command: object, **variables: str) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own."""
        path = os.pathsep.join((str(BINARIES), os.environ["PATH"], str(self._binaries)))
        return subprocess.Popen(
            list(map(str, command)),
            cwd=self.folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )

    def predict(self, *files: object, within: float = ENDS_WITHIN) -> Predictions:
        """`dfd-train predict MODEL FILE … --no-video`."""
        out = self.outside / "predictions"
        shutil.rmtree(out, ignore_errors=True)
        command = ("dfd-train", "predict", self.model, *files, "--no-video", "--out", out)
        return Predictions(self.run(*command, within=within), out)

    @cached_property
    def model(self) -> Path:
        """A folder of weights: a small Reseption network as initialised."""
        folder = self.outside / "model"
        lines = (
            "import sys, torch, reseption_models as r",
            "torch.manual_seed(0)",
            "network = r.create_model('reseption_v1', width_multiplier=0.125)",
            "r.save_pretrained(network, sys.argv[1])",
        )
        made = self.run(sys.executable, "-c", "\n".join(lines), folder)
        if made.code != 0:
            raise CannotRun(f"no model: {made.out.strip().splitlines()[-1]}")
        return folder

    @cached_property
    def work(self) -> Path:
        """A prepared set of eight short videos of a face, four to train and four to validate."""
        self._need_ffmpeg()
        clips, work = self.outside / "clips", self.outside / "work"
        clips.mkdir()
        base = "import sys; sys.path.insert(0, '..'); from common import base; base(sys.argv[1], frames=16)"
        rows = ["path,label,split,original_id"]
        for number in range(8):
            name, fake = f"{number}.mp4", number % 2
            self.run(sys.executable, "-c", base, clips / name)
            original = f"clips/{number - 1}.mp4" if fake else ""
            rows.append(f"clips/{name},{fake},{'train' if number < 4 else 'val'},{original}")
        (self.outside / "list.csv").write_text("\n".join(rows) + "\n")
        made = self.run("ffpp-prep", "extract", self.outside / "list.csv", "-o", work, "--jobs", 1)
        if made.code != 0:
            raise CannotRun(f"no prepared set: {made.out.strip().splitlines()[-1]}")
        return work

    def _need_ffmpeg(self) -> None:
        if shutil.which("ffmpeg") is None and not (self._binaries / "ffmpeg").exists():
            raise CannotRun("no ffmpeg here: apt-get install ffmpeg, or pip install imageio-ffmpeg")

    def compiled(self, source: str) -> Path:
        """A library to preload, from the C file `source`."""
        if shutil.which("gcc") is None:
            raise CannotRun("no gcc here")
        library = self.outside / f"{Path(source).stem}.so"
        made = self.run("gcc", "-shared", "-fPIC", "-o", library, source)
        if made.code != 0:
            raise CannotRun(f"{source} doesn't compile")
        return library


class Predictions:
    """What `dfd-train predict` left."""

    def __init__(self, answer: Answer, out: Path) -> None:
        self.answer = answer
        self.out = out
        found = (json.loads(path.read_text()) for path in out.glob("*/result.json"))
        self.results: dict[str, dict[str, Any]] = {result["file"]: result for result in found}

    @property
    def whole(self) -> bool:
        """Whether the command came to its end and wrote what stands for all files together."""
        summaries = (self.out / "index.html").is_file() and (self.out / "summary.csv").is_file()
        return self.answer.code in (0, 1) and not self.answer.traceback and summaries

    def status(self, file: str) -> str:
        """scored, no_usable_face, unreadable; "" where there is no answer."""
        return next((r["status"] for name, r in self.results.items() if file in (name, Path(name).name)), "")

    def boxes(self, file: str) -> pd.DataFrame:
        """frames.csv of one file; no rows where there is none."""
        tables = [path for path in self.out.glob("*/frames.csv") if path.parent.name == file]
        return pd.read_csv(tables[0]) if tables else pd.DataFrame(columns=["frame", "x1", "y1", "x2", "y2"])

    def __str__(self) -> str:
        answers = ", ".join(f"{name} {r['status']}" for name, r in sorted(self.results.items()))
        return f"exit {self.answer.code} after {self.answer.seconds:.0f} s; {answers or 'no answer'}"


def kill(process: subprocess.Popen[str]) -> str:
    """Ends a command with all that it started; what it had said."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            return process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            continue
    return process.communicate()[0]


def scanned(work: Path) -> pd.DataFrame:
    """videos.parquet; no rows where there is none."""
    path = work / "videos.parquet"
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=["video_id", "label", "split"])


def refused(work: Path) -> str:
    """The text of refused.csv; "" where there is none."""
    path = work / "refused.csv"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def lines_with(text: str, words: Sequence[str]) -> list[str]:
    """The lines that hold one of the words."""
    return [line for line in text.splitlines() if any(word in line for word in words)]
