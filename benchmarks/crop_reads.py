"""Crops in random order: from shards of each codec, from a folder of PNG files, and decoded from their videos.

    python benchmarks/crop_reads.py                  # the demonstration's videos: a few minutes on two cores

The demonstration's videos are short, which flatters decoding: so two videos of FF++'s length are made of them first,
300 frames each, encoded with x264's defaults, whose key frames stand 250 frames apart. ffpp-prep detects and cuts
their faces once a codec. Every round reads the same crops in the same random order in every way; the clock is this
process's processor time, files are in the system's cache, a ratio is the median of the rounds' own.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import imagecodecs
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm
from training import print_table, ratio

from ffpp_prep.format.prepared import load_prepared
from ffpp_prep.video import Encoder, open_output

CODECS = ("zstd", "jxl", "webp", "qoi", "png", "raw")
Spot = tuple[int, int]


def lengthen(source: Path, target: Path, frames: int) -> None:
    """A video's frames forwards and backwards until there are `frames`."""
    with av.open(str(source)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    target.parent.mkdir(parents=True)
    height, width = pictures[0].shape[:2]
    with open_output(target) as container:
        encoder = Encoder(container, width, height, options={"crf": "23"})
        for picture in islice(cycle([*pictures, *pictures[-2:0:-1]]), frames):
            encoder.write(picture)
        encoder.close()


def ffpp_prep(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "ffpp_prep", *map(str, arguments)], check=True, capture_output=True)


def processor_seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("demo-output/data"), help="ffpp-prep's sample")
    parser.add_argument("--frames", type=int, default=300, help="of each video")
    parser.add_argument("--crops", type=int, default=60, help="read a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(options.data, options.frames, folder)
        measure(folder, options.crops, options.rounds)


def prepare(data: Path, frames: int, folder: Path) -> None:
    """`folder`/boxes: detected but nothing cut; `folder`/<codec>: cut; `folder`/png-files: the crops as files."""
    for kind, pattern in (("real", "original_sequences"), ("fake/Swap", "manipulated_sequences/Deepfakes")):
        source = sorted((data / pattern).rglob("c23/videos/*.mp4"))[1]
        lengthen(source, folder / "root" / kind / "a.mp4", frames)
    boxes = folder / "boxes"
    ffpp_prep("boxes", folder / "root", "-o", boxes, "--detect-every", 25, "--jobs", 1)
    for codec in CODECS:
        shutil.copytree(boxes, folder / codec)
        ffpp_prep("extract", folder / codec, "--codec", codec, "--include-multiple-faces", "--jobs", 1)
    prepared = load_prepared(folder / "raw")
    (folder / "png-files").mkdir()
    for row, frame in stored(prepared.videos):
        Image.fromarray(prepared.read_crop_at(row, frame)).save(folder / "png-files" / f"{row}-{frame}.png")


def stored(videos: pd.DataFrame) -> list[Spot]:
    return [(row, frame) for row, length in videos["frames_decoded"].items() for frame in range(length)]


def measure(folder: Path, crops: int, rounds: int) -> None:
    sets = {name: load_prepared(folder / name) for name in (*CODECS, "boxes")}
    spots = stored(sets["boxes"].videos)
    chosen = [spots[i] for i in np.random.default_rng(0).choice(len(spots), crops, replace=False)]
    files = {spot: folder / "png-files" / f"{spot[0]}-{spot[1]}.png" for spot in chosen}
    ways: dict[str, Callable[[Spot], Any]] = {
        f"shards, {codec}": lambda spot, own=sets[codec]: own.read_crop_at(*spot) for codec in CODECS
    }
    ways["PNG folder, Pillow"] = lambda spot: np.asarray(Image.open(files[spot]))
    ways["PNG folder, imagecodecs"] = lambda spot: imagecodecs.png_decode(files[spot].read_bytes())
    ways["decoded from the video"] = lambda spot: sets["boxes"].read_crop_at(*spot)
    for spot in chosen:  # also opens all files once
        pictures = [read(spot) for read in ways.values()]
        assert all(np.array_equal(pictures[0], picture) for picture in pictures), spot
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        for name, read in ways.items():
            times[name].append(processor_seconds(lambda: [read(spot) for spot in chosen]))  # noqa: B023
    pixels = sum(picture.size for picture in map(ways["shards, raw"], chosen)) / 3 / crops
    print(f"{crops} crops of {pixels**0.5:.0f}² pixels on average, from {len(sets['boxes'].videos)} videos\n")
    files_size = sum(path.stat().st_size for path in (folder / "png-files").iterdir())
    rows = []
    for name, taken in times.items():
        size = sum(path.stat().st_size for path in (folder / name.split(", ")[-1] / "faces").glob("*.h5"))
        size = files_size if name.startswith("PNG") else size
        rows.append(
            [
                name,
                f"{crops / statistics.median(taken):.0f}",
                f"{ratio(times['PNG folder, Pillow'], taken):.2f}",
                f"{ratio(times['decoded from the video'], taken):.1f}",
                f"{size / 2**20:.1f}" if size else "",
            ]
        )
    print_table(["crops", "a second", "times PNG folder", "times decoding", "MiB"], rows)


if __name__ == "__main__":
    main()
