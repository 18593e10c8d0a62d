"""How far decoding keeps a GPU busy: frames a second of `ffpp-prep boxes` from file to rows, and what limits them.

    python benchmarks/gpu_pipeline.py                       # a GPU or more: all that the engine sees, 480p and 1080p
    python benchmarks/gpu_pipeline.py --gpus 0 --decoders 2 --videos 4 --frames 16 --sizes 320x240  # on a processor

Three things run with the same processes: decoding for a detector that looks at nothing, the engine on batches that lie
decoded in memory, and both together. Rates are from the first finished video on, so that starting doesn't count.
Utilisation is what nvidia-smi says every 200 ms. Wanted: that decoding binds, and 2,000 frames a second of 480p with 15
decoders.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal, get_args

import numpy as np
from side_by_side import clip

from ffpp_prep.detector import DETECTORS, Detections, FaceDetector
from ffpp_prep.detector.workers import Crew, Served, find_workers, process_detector
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.one_video.boxes import BATCH_FRAMES, detect_video
from ffpp_prep.settings import BoxSettings, Engine, Precision
from ffpp_prep.video import open_video

BINDS = 0.85  # of what a part reaches alone, from which it is the limit
Part = Literal["decoding", "engine", "both"]


@dataclass(frozen=True)
class Video:
    path: Path
    engine: Engine | Served
    part: Part


class Nobody:
    """A detector that looks at nothing, of frames as large as another one's."""

    def __init__(self, other: FaceDetector) -> None:
        self.engine, self.weights_sha256, self.longest = other.engine, other.weights_sha256, other.longest

    def detect(self, frames: np.ndarray) -> list[Detections]:
        return [Detections(np.zeros((1, 4), np.float32), np.zeros(1, np.float32))] * len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpus", type=int, help="default: all; 0: the processor")
    parser.add_argument("--engine", choices=["torch", "tensorflow"], default="torch")
    parser.add_argument("--detectors", nargs="*", default=DETECTORS)
    parser.add_argument("--precisions", nargs="*", choices=get_args(Precision), default=["fp32"])
    parser.add_argument("--decoders", type=int, nargs="*", default=[4, 8, 15], help="a GPU")
    parser.add_argument("--videos", type=int, default=64, help="a GPU (%(default)s)")
    parser.add_argument("--frames", type=int, default=480, help="a video (%(default)s)")
    parser.add_argument("--sizes", nargs="*", default=["854x480", "1920x1080"])
    options = parser.parse_args()
    if options.gpus is None and not find_workers(Engine(options.engine), 1).engine.gpus:
        print(f"{options.engine} sees no GPU; --gpus 0 tries it on the processor", file=sys.stderr)
        sys.exit(77)
    if options.gpus == 0:
        print("No GPU is used: this says nothing about one.\n")
    for size in options.sizes:
        width, height = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            video = clip(Path(folder) / "video.mp4", options.frames, width, height)
            for detector in options.detectors:
                for precision in options.precisions:
                    print(
                        f"\n{detector}, {precision}, {options.videos} videos of {options.frames} frames, {size}\n"
                    )
                    compare(video, options, detector, precision)


def compare(video: Path, options: argparse.Namespace, detector: str, precision: Precision) -> None:
    """Prints the table of one size and detector."""
    print(
        "| decoders | decoding alone | engine alone | both, frames/s | GPU utilisation | GPU memory, MiB | binds |"
    )
    print("|---|---|---|---|---|---|---|")
    for decoders in options.decoders:
        engine = Engine(
            options.engine, gpus=options.gpus, decode_threads=decoders, detector=detector, precision=precision
        )
        workers = find_workers(engine, 1)
        count = options.videos * workers.processes
        with workers.at_work(count) as crew:
            rates = {
                part: rate(crew, [Video(video, crew.engine, part)] * count)
                for part in ("decoding", "engine", "both")
            }
        frames, used, memory = rates["both"]
        alone = [rates[part][0] for part in ("decoding", "engine")]
        shares = {name: frames / other for name, other in zip(("decoding", "the engine"), alone, strict=True)}
        most = max(shares, key=shares.__getitem__)
        binds = f"{most}, {shares[most]:.2f} of it" if shares[most] > BINDS else "what lies between"
        print(
            f"| {workers.decoders} | {alone[0]:.0f} | {alone[1]:.0f} | {frames:.0f} | {used} | {memory} | {binds} |",
            flush=True,
        )


def rate(crew: Crew, videos: Sequence[Video]) -> tuple[float, str, str]:
    """Returns frames a second of all videos but the first, the GPUs' utilisation, and their memory."""
    with Sampler() as sampler:
        outcomes = run_tasks(detect, videos, crew.processes, threads=crew.threads, devices=crew.devices)
        first = 0.0
        frames = 0
        for outcome in outcomes:
            assert outcome.result is not None, outcome.lost
            frames += outcome.result if first else 0
            if not first:
                first = time.perf_counter()
                sampler.clear()
        return frames / (time.perf_counter() - first), *sampler.stop()


def detect(video: Video, beat: Beat) -> int:
    """A worker's task; returns the frames."""
    detector = process_detector(video.engine)
    if video.part != "engine":
        seen = Nobody(detector) if video.part == "decoding" else detector
        return detect_video("video", str(video.path), seen, BoxSettings(), beat).frames_decoded
    with open_video(video.path) as reader:
        pictures = [
            frame.within(detector.longest).picture
            for _, frame in zip(range(BATCH_FRAMES), reader, strict=False)
        ]
        frames = reader.info.frames
    batch = np.stack(pictures)
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
