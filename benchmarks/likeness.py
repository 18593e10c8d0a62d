"""Which copies `check-splits` finds by their pictures, which other videos it takes for copies, and how long it takes.

    python benchmarks/likeness.py                      # 1,000 synthetic clips; some minutes
    python benchmarks/likeness.py --sample DIR         # also all pairs of the sample that `ffpp-prep sample` wrote

Synthetic clips have a background whose frequencies fall as those of photographs do, with a head and shoulders that move
before it. Copies of every tenth are encoded again, scaled, cropped or mirrored. In the sample a pair counts as false
where the two show other people: takes of one person are cut out of one portrait.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ffpp_prep.datasets.alike import look_alikes
from ffpp_prep.one_video.likeness import Likeness
from ffpp_prep.sample.plan import make_plan
from ffpp_prep.video import Encoder, VideoError, open_output, open_video

WIDTH, HEIGHT, FRAMES = 160, 120, 8
Clip = list[NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--sample", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        synthetic(options.clips, Path(folder) / "clip.mp4")
    if options.sample:
        of_sample(options.sample)
    costs()


def synthetic(count: int, file: Path) -> None:
    """Prints how many copies of each kind are found, and how many pairs of distinct clips."""
    own, copies = [], {name: [] for name in COPIES}
    for seed in range(count):
        pictures = clip(seed)
        own.append(recorded(pictures, 23, file))
        for name, change in COPIES.items() if seed % 10 == 0 else ():
            copies[name].append(recorded(*change(pictures), file))
    print(f"{count} distinct clips: {len(look_alikes(own, np.arange(count)))} pairs taken for copies\n")
    print("| copies | found | wrong |\n|---|---|---|")
    for name, found in copies.items():
        sides = np.repeat([0, 1], [len(own), len(found)])
        pairs = look_alikes([*own, *found], sides)
        right = sum(one == 10 * (other - len(own)) for one, other in pairs)
        print(f"| {name} | {right} of {len(found)} | {len(pairs) - right} |")


def of_sample(root: Path) -> None:
    """Prints the pairs of the sample that look alike, by what they have in common."""
    cast = make_plan()
    target = {name: name for name in cast.takes} | {fake.name: fake.target for fake in cast.fakes}
    names, contents = [], []
    for path in sorted(root.rglob("*.mp4")):
        if "masks" in path.parts or path.stem not in target:
            continue
        try:
            contents.append(content_of(path))
        except VideoError:  # one is empty on purpose
            continue
        names.append(target[PurePosixPath(path.name).stem])
    people = [set(cast.takes[name].people) for name in names]
    pairs = look_alikes(contents, np.arange(len(names)))
    takes = sum(names[a] == names[b] for a, b in pairs)
    persons = sum(names[a] != names[b] and bool(people[a] & people[b]) for a, b in pairs)
    of_takes = sum(names[a] == names[b] for b in range(len(names)) for a in range(b))
    print(
        f"\nSample, {len(names)} videos: {takes} of {of_takes} pairs of one take, {persons} of one person's portrait, "
        f"{len(pairs) - takes - persons} of different people"
    )


def costs() -> None:
    """Prints the time of the search by the number of videos, each of 5 frames of its own."""
    print("\n| videos, none alike | processor seconds of the search |\n|---|---|")
    rng = np.random.default_rng(0)
    for count in (2_000, 8_000, 32_000):
        fall = 1 / np.maximum(np.hypot(*np.mgrid[:10, :10]), 1)
        frames = rng.normal(size=(count, 1, 10, 10)) * fall + 0.1 * rng.normal(size=(count, 5, 10, 10)) * fall
        share = frames / np.abs(frames).max((2, 3), keepdims=True)
        roots = np.rint(127 * np.sign(share) * np.sqrt(np.abs(share))).astype(np.int8)
        contents = [video.tobytes() for video in roots]
        started = time.process_time()
        found = look_alikes(contents, rng.integers(0, 3, count))
        assert not found
        print(f"| {count:,} | {time.process_time() - started:.1f} |")


def clip(seed: int) -> Clip:
    """A head and shoulders before a background, RGB."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(HEIGHT)[:, None] * HEIGHT, np.fft.fftfreq(WIDTH)[None] * WIDTH
    fall = np.maximum(np.hypot(rows, columns), 1) ** rng.uniform(1.0, 1.5)
    grey = np.fft.ifft2(np.fft.fft2(rng.normal(size=(HEIGHT, WIDTH))) / fall).real
    grey = 128 + (grey - grey.mean()) / grey.std() * rng.uniform(30, 60)
    back = np.stack([grey * rng.uniform(0.7, 1) + rng.uniform(-20, 20) for _ in range(3)], -1)
    x0, y0 = rng.uniform(0.4, 0.6, 2) * (WIDTH, HEIGHT)
    width = rng.uniform(0.13, 0.22) * WIDTH
    height = width * rng.uniform(1.1, 1.5)
    skin, phase = rng.uniform(120, 230), rng.uniform(0, 6.3)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pictures = []
    for i in range(FRAMES):
        u, v = x - x0 - 3 * np.sin(phase + i / 6), y - y0 - 2 * np.cos(phase + i / 8)
        picture = back.copy()
        picture[(u / (2.2 * width)) ** 2 + ((v - 2.1 * height) / (1.3 * height)) ** 2 < 1] = skin * 0.3
        picture[(u / width) ** 2 + (v / height) ** 2 < 1] = skin * np.array([1, 0.8, 0.7])
        for eye in (-0.4, 0.4):
            inside = ((u - eye * width) / (0.18 * width)) ** 2 + ((v + 0.2 * height) / (0.1 * height)) ** 2
            picture[inside < 1] = 20
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def scaled(pictures: Clip, factor: float) -> Clip:
    height, width = pictures[0].shape[:2]
    size = (round(width * factor), round(height * factor))
    return [np.asarray(Image.fromarray(picture).resize(size)) for picture in pictures]


def cropped(pictures: Clip, left: float, top: float, right: float, bottom: float) -> Clip:
    height, width = pictures[0].shape[:2]
    rows = slice(round(height * top), height - round(height * bottom))
    columns = slice(round(width * left), width - round(width * right))
    return [picture[rows, columns] for picture in pictures]


def mirrored(pictures: Clip) -> Clip:
    return [picture[:, ::-1] for picture in pictures]


COPIES: dict[str, Callable[[Clip], tuple[Clip, int]]] = {
    "encoded again, CRF 35": lambda pictures: (pictures, 35),
    "encoded again, CRF 45": lambda pictures: (pictures, 45),
    "half the size": lambda pictures: (scaled(pictures, 0.5), 28),
    "twice the size": lambda pictures: (scaled(pictures, 2), 23),
    "5 % cropped at each side": lambda pictures: (cropped(pictures, 0.05, 0.05, 0.05, 0.05), 23),
    "5 % cropped at the left": lambda pictures: (cropped(pictures, 0.05, 0, 0, 0), 23),
    "5 % cropped at the top": lambda pictures: (cropped(pictures, 0, 0.05, 0, 0), 23),
    "5 % cropped at a corner, half the size, CRF 35": lambda pictures: (
        scaled(cropped(pictures, 0.05, 0.05, 0, 0), 0.5),
        35,
    ),
    "mirrored": lambda pictures: (mirrored(pictures), 23),
    "mirrored, 5 % cropped at the left, half the size, CRF 35": lambda pictures: (
        scaled(cropped(mirrored(pictures), 0.05, 0, 0, 0), 0.5),
        35,
    ),
}


def recorded(pictures: Clip, crf: int, file: Path) -> bytes:
    """What `boxes` would store of the pictures as a video."""
    even = [picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2] for picture in pictures]
    with open_output(file) as container:
        size = even[0].shape[1], even[0].shape[0]
        encoder = Encoder(container, *size, options={"crf": str(crf), "preset": "ultrafast"})
        for picture in even:
            encoder.write(picture)
        encoder.close()
    return content_of(file)


def content_of(file: Path) -> bytes:
    with open_video(file) as reader:
        likeness = Likeness(reader.info)
        for _ in likeness.watched(iter(reader)):
            pass
    return likeness.content()


if __name__ == "__main__":
    main()
