"""A data set of DFDC's size on a Dask cluster whose workers are killed: is anything lost, and what memory does it take?

    python benchmarks/lost_workers.py                   # 119,000 videos in 50 parts; an hour on two cores
    python benchmarks/lost_workers.py 5000
    python benchmarks/lost_workers.py --empty           # no clips, and boxes alone: 119,000 short tasks

The first ten originals of each part and their fakes are clips of four frames with a face, so that every command has
work; all other files are empty. Each command runs on a cluster of a scheduler and two worker processes on this machine,
of which one is killed as a command begins and after every twentieth of its tasks, and again on this machine alone, in
another WORK. Both must hold the same videos, boxes, measurements of fakes and crops. Memory is resident, looked at
twice a second.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
from many_files import FOLDERS, SOME_FAILED, VIDEOS, make
from scale import A_GROUP, PYTHON, cost_of

NOT_HERE = 77
WORKERS, CLIPS, FRAMES = 2, 10, 4
SHARE, LOOK_S = 0.05, 0.5
COMMANDS = ("boxes", "check-fakes", "extract")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="?", type=int, default=VIDEOS, metavar="VIDEOS")
    parser.add_argument("--empty", action="store_true", help="without clips, boxes alone")
    options = parser.parse_args()
    videos = options.videos
    if find_spec("distributed") is None:
        print("Dask is not installed", file=sys.stderr)
        return NOT_HERE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "dfdc", videos)
        if not options.empty:
            put_clips(folder / "dfdc")
        here, there = folder / "here", folder / "there"
        for work in (here, there):
            cost_of((*PYTHON, "ffpp_prep", "scan", str(folder / "dfdc"), "-o", str(work)), folder)
        print(
            f"{videos:,} videos\n\n| command | s | here, s | workers killed | MB: command | scheduler | a worker |"
        )
        print("|---|---|---|---|---|---|---|")
        with cluster(folder) as running:
            for command in COMMANDS[: 1 if options.empty else None]:
                empty = options.empty or videos // FOLDERS > CLIPS * A_GROUP
                status = SOME_FAILED if empty and command == "boxes" else 0
                watch = run_there(command, there, running, folder, status)
                started = time.monotonic()
                cost_of((*PYTHON, "ffpp_prep", command, str(here), "--jobs", str(WORKERS)), folder, status)
                alone = time.monotonic() - started
                memory = " | ".join(
                    f"{watch.megabytes[who]:.0f}" for who in ("command", "scheduler", "worker")
                )
                print(
                    f"| {command} | {watch.seconds:.0f} | {alone:.0f} | {watch.killed} | {memory} |",
                    flush=True,
                )
        wrong = differences(here, there, options.empty)
    print(f"\nOther than on this machine alone: {', '.join(wrong) or 'nothing'}.")
    return len(wrong)


def put_clips(root: Path) -> None:
    """Gives originals of each part and their fakes a content: the same frames, of each fake changed a little more."""
    from ffpp_prep.sample.sources import PEOPLE
    from ffpp_prep.video import Encoder, open_output, open_video

    with open_video(PEOPLE[0].source.path()) as reader:
        pictures = [frame.rgb()[:, :192].copy() for frame, _ in zip(reader, range(FRAMES), strict=False)]
    height, width = pictures[0].shape[:2]
    clips = []
    for fake in range(A_GROUP):
        clips.append(root.parent / f"{fake}.mp4")
        with open_output(clips[-1]) as container:
            encoder = Encoder(container, width, height, options={"crf": "10"})
            for picture in pictures:
                middle = picture[height // 3 : height // 2, width // 3 : width // 2]
                middle[:] = np.clip(middle.astype(int) + 12 * (fake > 0), 0, 255)
                encoder.write(picture)
            encoder.close()
    for part in root.iterdir():
        for number, path in enumerate(sorted(part.glob("*.mp4"))[: CLIPS * A_GROUP]):
            shutil.copyfile(clips[number % A_GROUP], path)


@dataclass
class Watch:
    """What a command on the cluster took: the most memory of each kind of process, and the workers killed meanwhile."""

    seconds: float = 0.0
    killed: int = 0
    megabytes: dict[str, float] = field(
        default_factory=lambda: {"command": 0.0, "scheduler": 0.0, "worker": 0.0}
    )

    def look(self, who: str, process: psutil.Process) -> None:
        """Takes the memory that a process holds now; one that is gone holds none."""
        with suppress(psutil.NoSuchProcess):
            self.megabytes[who] = max(self.megabytes[who], process.memory_info().rss / 2**20)


@dataclass
class Running:
    """A cluster's processes, what its nanny says, and how many workers were killed."""

    address: str
    scheduler: psutil.Process
    nanny: psutil.Process
    log: Path
    killed: int = 0

    def is_whole(self) -> bool:
        """Returns whether all workers are there again: a nanny whose worker is killed while it starts gives up."""
        return self.log.read_text().count("Registered to") >= WORKERS + self.killed

    def workers(self) -> list[psutil.Process]:
        """Returns the processes that run tasks, children of the nanny's."""
        found = []
        for child in self.nanny.children():
            with suppress(psutil.NoSuchProcess):  # one that was just killed
                found += [child] * ("spawn_main" in " ".join(child.cmdline()))
        return found


@contextmanager
def cluster(folder: Path) -> Iterator[Running]:
    """Starts a scheduler and its workers as a user does, and ends them."""
    logs = [(folder / f"{what}.log").open("w+") for what in ("scheduler", "workers")]
    at_once = {"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__OMP_NUM_THREADS": "1"}
    options = {"stderr": subprocess.STDOUT, "cwd": folder, "env": {**os.environ, **at_once}}
    at = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    scheduler = subprocess.Popen((*PYTHON, "dask", "scheduler", *at), stdout=logs[0], **options)
    address = ""
    while not address:
        time.sleep(LOOK_S)
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", Path(logs[0].name).read_text())
        address = found[1] if found else ""
    nanny = subprocess.Popen(
        (*PYTHON, "dask", "worker", address, "--nthreads", "1", "--nworkers", str(WORKERS), "--no-dashboard"),
        stdout=logs[1],
        **options,
    )
    running = Running(address, psutil.Process(scheduler.pid), psutil.Process(nanny.pid), Path(logs[1].name))
    try:
        while not running.is_whole():
            time.sleep(LOOK_S)
        yield running
    finally:
        for process in (nanny, scheduler):
            process.terminate()
            process.wait(30)
        for log in logs:
            log.close()


def run_there(command: str, work: Path, running: Running, folder: Path, expected: int) -> Watch:
    """Runs a command on the cluster and kills a worker again and again until the command has ended."""
    watch, said = Watch(), (folder / "there.txt").open("w+")
    arguments = (*PYTHON, "ffpp_prep", command, str(work), "--scheduler", running.address)
    started = time.monotonic()
    with said, subprocess.Popen(arguments, stdout=said, stderr=said) as process:
        own, next_at = psutil.Process(process.pid), 0.0
        while process.poll() is None:
            watch.look("command", own)
            watch.look("scheduler", running.scheduler)
            workers = running.workers()
            for worker in workers:
                watch.look("worker", worker)
            if share_done(work, command) >= next_at and workers and running.is_whole():
                workers[watch.killed % len(workers)].kill()
                watch.killed, running.killed, next_at = watch.killed + 1, running.killed + 1, next_at + SHARE
            time.sleep(LOOK_S)
        if process.returncode != expected:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {said.read()[-2000:]}")
    watch.seconds = time.monotonic() - started
    return watch


def share_done(work: Path, command: str) -> float:
    """Returns how much of a command is done; -1 before it begins."""
    from ffpp_prep.work.progress import read_progress

    progress = read_progress(work)
    return progress.done / progress.total if progress and progress.stage == command else -1.0


def differences(here: Path, there: Path, empty: bool) -> list[str]:
    """Returns what two work folders differ in."""
    from ffpp_prep import read_boxes, read_fakes, read_videos
    from ffpp_prep.format.files import sha256_of

    times = ["decode_s", "detect_s"]
    videos = [read_videos(work).drop(columns=times) for work in (here, there)]
    if empty:
        same = videos[0].equals(videos[1]) and videos[0]["status"].notna().all()
        return [] if same else ["videos"]
    pairs = {
        "videos": videos,
        "boxes": [read_boxes(work) for work in (here, there)],
        "measurements of fakes": [read_fakes(work) for work in (here, there)],
    }
    wrong = [what for what, (one, other) in pairs.items() if one.empty or not one.equals(other)]
    crops = [{p.name: sha256_of(p) for p in (work / "faces").glob("faces-*.h5")} for work in (here, there)]
    return wrong + ["crops"] * (not crops[0] or crops[0] != crops[1])


if __name__ == "__main__":
    sys.exit(main())
