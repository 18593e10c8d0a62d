"""Runs the commands of a page, as they stand there; what would take long is cut short by programs before the real ones
in PATH, so that pages hold what a person types."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from markdown_pages import blocks, commands

BIN = str(Path(sys.executable).parent)
SHORT = """#!{python}
# For guides: every eighth frame is searched for faces, training is one step of a small network, one frame is scored.
import os, sys
arguments = sys.argv[1:]
if arguments[0] == "boxes" and "--detect-every" not in arguments:
    arguments += ["--detect-every", "8"]
if arguments[0] == "run":
    arguments += "--epochs 1 --max-steps 1 --batch-size 4 --val-frames 1 --test-frames 1 --workers 0".split()
    if "ensemble" not in arguments:
        arguments += ["--no-pretrained"]
        arguments += ["--input-size", "75"] if "--input-size" not in arguments else []
    if not any(name in " ".join(arguments) for name in ("ensemble", "inception", "resnext", "timm:")):
        arguments += ["--set", "model.arguments.width_multiplier=0.125"]
if arguments[0] in ("evaluate", "robustness"):
    arguments += ["--frames", "1", "--workers", "0"]
if arguments[0] == "explain":
    arguments += ["--samples", "20"]
os.execv({real!r}, [{real!r}, *arguments])
"""


@dataclass
class Shell:
    """Runs pages in one folder; ffpp-prep may say that some videos failed.

    variables: what a page assigns first (`FFPP=/data/…`). instead: what stands in a page → what is here.
    """

    folder: Path
    path: str
    variables: dict[str, str] = field(default_factory=dict)
    instead: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, page: Path) -> None:
        """Every command of a page; pip's are left to `make packages`, and to `test_pages.py` what they name."""
        for title, body in blocks(page, "toml"):
            (self.folder / title).write_text(body)
        for command in commands(page):
            self.ran.append(command)
            assignment = re.fullmatch(r"([A-Z]+)=\S+", command)
            if assignment:
                assert assignment[1] in self.variables, f"{page.name}: {command}"
            elif not command.startswith("pip install "):
                self.execute(page.name, command)

    def execute(self, page: str, command: str) -> None:
        for written, here in self.instead.items():
            command = command.replace(written, here)
        if command.startswith(("dfd-train serve", "dask ")):
            self.serve(page, command)
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        allowed = (0, 1) if command.startswith("ffpp-prep") else (0,)
        assert done.returncode in allowed, f"{page}: {command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"

    def serve(self, page: str, command: str) -> None:
        """Starts what runs until it is ended; a page that it says to open must answer."""
        log = self.folder / f"server-{len(self.running)}.log"
        with log.open("w") as out:
            self.running.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {command.partition('#')[0]}"],
                    cwd=self.folder, env=self.environment, stdout=out, stderr=out,
                )
            )  # fmt: skip
        until = time.monotonic() + 120
        while not (said := re.search(r"open (http://\S+)|Scheduler at:|Registered to:", log.read_text())):
            assert self.running[-1].poll() is None, f"{page}: {command}\n{log.read_text()[-4000:]}"
            assert time.monotonic() < until, f"{page}: {command}\n{log.read_text()[-4000:]}"
            time.sleep(0.2)
        if said[1]:
            assert b"<html" in urllib.request.urlopen(said[1], timeout=30).read()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables, "PATH": self.path}

    def end(self) -> None:
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            process.wait(30)
