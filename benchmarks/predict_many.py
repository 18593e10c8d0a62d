"""`dfd-train predict` of 10,000 small files, killed once and started again; then its index in a browser.

    python benchmarks/predict_many.py                   # a tiny untrained network; half an hour on two cores
    python benchmarks/predict_many.py 1000

Of 100 files 92 are photographs of a face, 5 show none, 2 are clips of a second and 1 is broken; ten are copies of
others. The command is killed (SIGKILL) when six of ten files have an answer, then given again. Wanted: one whole answer
a file, none of those of before the kill made anew, no more memory at the end than at the beginning, and less than a
second for each of what a person does with the index. Two processes score; memory is what each holds, and the command.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image
import psutil
from tiny import faces, tiny_network

from ffpp_prep.video import Encoder, open_output

KILLED_AT = 0.6  # of the files
SOME_UNREADABLE = 1
COPIES = 10
DEEDS = {
    "search for a number": "type('42')",
    "search for nothing": "type('')",
    "one answer only": "choose(1)",
    "all answers": "choose(0)",
    "order by score": "head(2)",
    "order by name": "head(0)",
}
SCRIPT = """deed => {
    const type = text => { search.value = text; search.dispatchEvent(new Event("input")); };
    const choose = at => { chosen.selectedIndex = at; chosen.dispatchEvent(new Event("change")); };
    const head = at => document.querySelectorAll(".files th button")[at].click();
    const search = document.querySelector("#search"), chosen = document.querySelector("#chosen");
    const began = performance.now();
    eval(deed);
    document.body.getBoundingClientRect(); // lays it out
    return (performance.now() - began) / 1000;
}"""


@dataclass
class Memory:
    """What was held after so many answers, in MB: by the command, and by the larger of its processes."""

    rows: list[tuple[int, float, float]] = field(default_factory=list)

    def look(self, process: psutil.Process, answers: int) -> None:
        """Adds a row, unless it has just ended."""
        try:
            own = process.memory_info().rss / 1e6
            workers = [child.memory_info().rss / 1e6 for child in process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        self.rows.append((answers, own, max(workers, default=0.0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="?", type=int, default=10_000, metavar="FILES")
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder / "in", files)
        command = [
            sys.executable,
            "-m",
            "dfd_train",
            "predict",
            str(tiny_network(folder)),
            str(folder / "in"),
        ]
        command += [
            "--out",
            str(folder / "out"),
            "--detector",
            "blazeface",
            "--device",
            "cpu",
            "--jobs",
            "2",
            "--json",
        ]
        memory = Memory()
        before = run(command, folder, memory, until=round(KILLED_AT * files))
        written = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*/result.json")}
        after = run(command, folder, memory)
        wrong = check(folder, files, written)
        print(
            f"{files:,} files; killed after {len(written):,} answers and {before:.0f} s, the rest took {after:.0f} s. "
            f"{wrong or 'Each file has one whole answer, and none was made twice.'}\n"
        )
        print("| answers | the command's memory, MB | a process's memory, MB |\n|---|---|---|")
        for answers, own, worker in spread(memory.rows):
            print(f"| {answers:,} | {own:.0f} | {worker:.0f} |")
        print(browsed(folder / "out/index.html"))
    return bool(wrong)


def make(folder: Path, files: int) -> None:
    """Writes the files, under names in no order."""
    folder.mkdir()
    pictures, parts = faces(100), folder.with_name("parts")
    parts.mkdir()
    kinds = []
    for number, picture in enumerate(pictures):
        PIL.Image.fromarray(picture).save(parts / f"{number}.jpg")
        kinds.append((parts / f"{number}.jpg").read_bytes())
    PIL.Image.new("RGB", (352, 288), "grey").save(parts / "none.jpg")
    with open_output(parts / "clip.mp4") as out:
        encoder = Encoder(out, 352, 288)
        for picture in pictures[:25]:
            encoder.write(picture)
        encoder.close()
    none, clip = (parts / "none.jpg").read_bytes(), (parts / "clip.mp4").read_bytes()
    names = random.Random(0).sample(range(10 * files), files)
    for number, name in enumerate(names):
        kind = number % 100
        content, ending = kinds[number % len(kinds)], "jpg"
        if kind >= 99:
            content, ending = b"\xff\xd8broken" + str(number).encode(), "jpg"
        elif kind >= 97:
            content, ending = clip + b"\0\0\0\x10free" + f"{number:08d}".encode(), "mp4"
        elif kind >= 92:
            content = none
        if ending == "jpg" and number >= COPIES:  # a comment, so that no other has these bytes
            said = str(number).encode()
            content = content[:2] + b"\xff\xfe" + (2 + len(said)).to_bytes(2) + said + content[2:]
        (folder / f"file{name}.{ending}").write_bytes(content)
    for number in range(COPIES):
        shutil.copy(folder / f"file{names[number]}.jpg", folder / f"file{names[-1 - number]}.copy.jpg")
        (
            folder / f"file{names[-1 - number]}.{'mp4' if (files - 1 - number) % 100 in (97, 98) else 'jpg'}"
        ).unlink()


def run(command: list[str], folder: Path, memory: Memory, until: int | None = None) -> float:
    """Runs it to its end, or to a kill; returns the seconds. Raises: RuntimeError where it ends otherwise."""
    began = time.monotonic()
    with (folder / "said.jsonl").open("w") as said, (folder / "told.txt").open("w") as told:
        process = subprocess.Popen(command, stdout=said, stderr=told)
        while process.poll() is None:
            time.sleep(2)
            answers = sum(1 for _ in (folder / "out").glob("*/result.json"))
            memory.look(psutil.Process(process.pid), answers)
            if until is not None and answers >= until:
                workers = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                process.wait()
                psutil.wait_procs(workers, timeout=60)
                return time.monotonic() - began
    if process.returncode != SOME_UNREADABLE or until is not None:
        raise RuntimeError(f"it ended with {process.returncode}: {(folder / 'told.txt').read_text()[-2000:]}")
    return time.monotonic() - began


def check(folder: Path, files: int, written: dict[Path, int]) -> str:
    """Returns what is wrong with the answers; empty where nothing is."""
    results = [json.loads(path.read_text()) for path in (folder / "out").glob("*/result.json")]
    rows = list(csv.DictReader((folder / "out/summary.csv").open()))
    lines = [json.loads(line)["file"] for line in (folder / "said.jsonl").read_text().splitlines()]
    there = sorted(path.name for path in (folder / "in").iterdir())
    wrong = []
    for what, found in (
        ("result.json", [one["file"] for one in results]),
        ("summary.csv", [row["file"] for row in rows]),
        ("--json", lines),
    ):
        if sorted(found) != there:
            wrong.append(f"{what}: {len(found)} of {files}")
    if again := sum(path.stat().st_mtime_ns != time_ for path, time_ in written.items()):
        wrong.append(f"{again} made again")
    if left := list((folder / "out").glob(".tmp-*")):
        wrong.append(f"{len(left)} left half-written")
    if (same := sum(bool(row["same_bytes_as"]) for row in rows)) < 2 * COPIES:
        wrong.append(f"{same} copies found")
    return "; ".join(wrong)


def spread(rows: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """Returns six of the rows, from the beginning (when all is loaded) to the end."""
    loaded = [row for row in rows if row[2]]
    return [loaded[round(at * (len(loaded) - 1) / 5)] for at in range(6)] if loaded else []


def browsed(index: Path) -> str:
    """Returns what it takes in a browser, as a table; says so where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return "\nNo browser here."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        began = time.monotonic()
        page.goto(index.as_uri())
        rows = [("opened", time.monotonic() - began)]
        rows += [(name, page.evaluate(SCRIPT, deed)) for name, deed in DEEDS.items()]
        browser.close()
    table = "\n".join(f"| {name} | {seconds:.2f} |" for name, seconds in rows)
    return f"\nindex.html, {index.stat().st_size / 1e6:.1f} MB, in a browser:\n\n| | s |\n|---|---|\n{table}"


if __name__ == "__main__":
    sys.exit(main())
