"""A data set of DFDC's size before anything is decoded: what scan, boxes and status take of 119,000 empty files.

    python benchmarks/many_files.py                     # 119,000 files in 50 folders; 3 minutes on two cores
    python benchmarks/many_files.py 10000

The files have DFDC's names and metadata.json and no content, so that each becomes a failure of `boxes`: what is
measured is what a video costs besides its decoding. Each command is a process of its own, workers included; memory is
the largest process's. Wanted: scan under 20 s, status under 2 s, memory under 500 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from scale import A_GROUP, PYTHON, cost_of

FOLDERS, VIDEOS = 50, 119_000
SOME_FAILED = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="?", type=int, default=VIDEOS, metavar="VIDEOS")
    videos = parser.parse_args().videos
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "dfdc", videos)
        prep, work = (*PYTHON, "ffpp_prep"), str(folder / "work")
        commands = {
            "scan": ((*prep, "scan", str(folder / "dfdc"), "-o", work), 0),
            "boxes, two jobs": ((*prep, "boxes", work, "--jobs", "2"), SOME_FAILED),
            "status": ((*prep, "status", work), 0),
        }
        print(f"{videos:,} videos\n\n| command | s | processor s | MB |\n|---|---|---|---|")
        for what, (command, status) in commands.items():
            started = time.monotonic()
            cost = cost_of(command, folder, status)
            taken = time.monotonic() - started
            print(f"| {what} | {taken:.1f} | {cost.seconds:.1f} | {cost.megabytes:.0f} |", flush=True)
    return 0


def make(root: Path, videos: int) -> None:
    """Makes folders of empty files as DFDC's training parts lie, four fakes of each original."""
    for part in range(FOLDERS):
        folder = root / f"dfdc_train_part_{part}"
        folder.mkdir(parents=True)
        facts = {}
        for number in range(videos // FOLDERS):
            name, original = (f"v{part:02d}{n:06d}.mp4" for n in (number, number - number % A_GROUP))
            (folder / name).touch()
            facts[name] = {"label": "REAL"} if name == original else {"label": "FAKE", "original": original}
        (folder / "metadata.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    sys.exit(main())
