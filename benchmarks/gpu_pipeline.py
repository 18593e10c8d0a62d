"""How far decode threads keep a GPU busy: frames a second of `ffpp-prep boxes` and the GPU's utilisation.

    python benchmarks/gpu_pipeline.py                                    # a GPU or more: all that TensorFlow sees
    python benchmarks/gpu_pipeline.py --gpus 0 --threads 1 3 --videos 6 --frames 32     # a trial on a processor

The engine alone gets batches that lie decoded in memory, from two threads a process. Rates are from a process's
second video on, so that starting TensorFlow doesn't count. Utilisation is what nvidia-smi says every 200 ms.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
from side_by_side import clip

from ffpp_prep.detector.workers import DetectorWorkers, find_workers, process_detector
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.one_video.boxes import BATCH_FRAMES, detect_video
from ffpp_prep.settings import BoxSettings, Engine
from ffpp_prep.video import open_video


@dataclass(frozen=True)
class Video:
    path: Path
    engine: Engine
    decoded: bool = False  # beforehand: the engine alone is timed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpus", type=int, help="default: all; 0: TensorFlow on the processor")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="a GPU")
    parser.add_argument("--videos", type=int, default=64, help="a GPU (%(default)s)")
    parser.add_argument("--frames", type=int, default=480, help="a video (%(default)s)")
    parser.add_argument("--size", default="854x480", help="(%(default)s)")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "video.mp4", options.frames, width, height)
        engine = Engine("tensorflow", gpus=options.gpus)
        workers = [find_workers(replace(engine, decode_threads=n), 1) for n in options.threads]
        if not workers[0].engine.gpus and options.gpus is None:
            print("TensorFlow sees no GPU; --gpus 0 tries it on the processor", file=sys.stderr)
            sys.exit(77)
        if not workers[0].engine.gpus:
            print("No GPU is used: this says nothing about one.\n")
        count = options.videos * workers[0].processes
        print(
            f"{count} videos of {options.frames} frames, {options.size}, {workers[0].processes} processes\n"
        )
        print(
            "| | frames/s | times the engine alone | GPU utilisation | GPU memory, MiB |\n|---|---|---|---|---|"
        )
        alone = find_workers(replace(engine, decode_threads=2), 1)
        ceiling = line("engine alone", alone, [Video(video, alone.engine, decoded=True)] * count)
        for one in workers:
            line(f"{one.threads} decode threads", one, [Video(video, one.engine)] * count, ceiling)


def line(name: str, workers: DetectorWorkers, videos: Sequence[Video], ceiling: float = 0.0) -> float:
    """Runs them all, prints a row of the table, and returns the frames a second."""
    with Sampler() as sampler:
        outcomes = run_tasks(
            detect, videos, workers.processes, threads=workers.threads, devices=workers.devices
        )
        first = 0.0
        frames = 0
        for outcome in outcomes:
            assert outcome.result is not None, outcome.lost
            frames += outcome.result if first else 0
            if not first:
                first = time.perf_counter()
                sampler.clear()
        rate = frames / (time.perf_counter() - first)
        used, memory = sampler.stop()
    print(f"| {name} | {rate:.0f} | {rate / (ceiling or rate):.2f} | {used} | {memory} |", flush=True)
    return rate


def detect(video: Video, beat: Beat) -> int:
    """A worker's task; returns the frames."""
    detector = process_detector(video.engine)
    if not video.decoded:
        return detect_video("video", str(video.path), detector, BoxSettings(), beat).frames_decoded
    with open_video(video.path) as reader:
        batch = np.stack([frame.rgb() for _, frame in zip(range(BATCH_FRAMES), reader, strict=False)])
        frames = reader.info.frames
    for _ in range(frames // len(batch)):
        detector.detect(batch)
        beat()
    return frames // len(batch) * len(batch)


class Sampler:
    """What nvidia-smi says while something runs; "–" where there is none."""

    def __enter__(self) -> Sampler:
        self._process = None
        self._skip = 0
        self._out = tempfile.TemporaryFile("w+")
        if shutil.which("nvidia-smi"):
            query = "--query-gpu=utilization.gpu,memory.used"
            command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "-lms", "200"]
            self._process = subprocess.Popen(command, stdout=self._out)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def clear(self) -> None:
        """Forgets what was before."""
        self._skip = len(self._rows())

    def stop(self) -> tuple[str, str]:
        """Mean utilisation and largest memory of the GPUs since `clear`."""
        rows = self._rows()[self._skip :]
        if not rows:
            return "–", "–"
        return f"{mean(row[0] for row in rows):.0f} %", f"{max(row[1] for row in rows):.0f}"

    def _rows(self) -> list[tuple[float, float]]:
        self._out.seek(0)
        lines = [text.split(",") for text in self._out.read().splitlines() if text.count(",") == 1]
        return [(float(use), float(memory)) for use, memory in lines if use.strip().isdigit()]


if __name__ == "__main__":
    main()
