"""How well `ffpp-prep check-fakes` tells touched faces from untouched ones, on the sample's forgeries.

    python benchmarks/check_fakes.py             # 24 frames of each video

Untouched faces are those of the flickering fake's untouched frames and of originals encoded a second time; touched
ones are those of every method. Both go through the codec, so that only the codec's noise tells them from equality.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector import load_detector
from ffpp_prep.fakes import FakeSettings, compare
from ffpp_prep.sample import plan, render
from ffpp_prep.video import Encoder, VideoReader, open_output

TAKES = (
    "000",
    "001",
    "002",
    "003",
    "012",
    "014",
    "022",
    "023",
)  # one of each person, and a second of the talking head
ENCODERS = (
    ("libx264", {"crf": "23"}),
    ("libx264", {"crf": "30"}),
    ("mpeg4", {"qscale": "5", "b": "1500000"}),
)
DETECT_EVERY = 8

Frames = list[NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=24)
    frames = parser.parse_args().frames
    threshold = FakeSettings().threshold
    groups: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, contrast in measured(Path(folder), frames):
            groups.setdefault(name, []).append(contrast)
    print(f"Contrast of fake to original inside the face; called touched from {threshold}\n")
    print("| | faces | 1 % | median | 99 % | called touched |\n|---|---|---|---|---|---|")
    for name, contrasts in sorted(groups.items(), reverse=True):
        low, middle, high = np.quantile(contrasts, (0.01, 0.5, 0.99))
        touched = np.mean(np.array(contrasts) >= threshold)
        print(f"| {name} | {len(contrasts)} | {low:.2f} | {middle:.2f} | {high:.2f} | {touched:.1%} |")


def measured(root: Path, frames: int) -> Iterator[tuple[str, float]]:
    """Renders, encodes, decodes and compares; a group's name and the contrast of each face."""
    detector = load_detector("litert", threads=2)
    cast = plan.make_plan()
    for name in (*TAKES, plan.FLICKERING):
        manipulated = set(render.render(root, name, 0, frames).manipulated)
        real = decoded(root / render.original_path(cast.takes[name]))
        found = [detector.detect(picture[None])[0].boxes[:1] for picture in real[::DETECT_EVERY]]
        boxes = [found[i // DETECT_EVERY].astype(np.float64) for i in range(len(real))]
        for codec, options in ENCODERS if name in TAKES else ():
            again = decoded(encoded(root / "again.mp4", real, codec, options))
            for i, picture in enumerate(again):
                rate = options.get("crf", options.get("qscale", ""))
                yield f"untouched, again {codec} {rate}", compare(picture, real[i], boxes[i])[0].contrast
        for fake in cast.fakes_of(name):
            for i, picture in enumerate(decoded(root / render.fake_path(fake))):
                touched = not fake.flickers or i in manipulated
                kind = f"touched, {fake.method}" if touched else "untouched, flickering fake"
                yield kind, compare(picture, real[i], boxes[i])[0].contrast


def decoded(path: Path) -> Frames:
    with VideoReader(path) as reader:
        return [frame.rgb() for frame in reader]


def encoded(path: Path, frames: Frames, codec: str, options: dict[str, str]) -> Path:
    height, width = frames[0].shape[:2]
    with open_output(path) as container:
        encoder = Encoder(container, width, height, codec=codec, options=options)
        for picture in frames:
            encoder.write(picture)
        encoder.close()
    return path


if __name__ == "__main__":
    main()
