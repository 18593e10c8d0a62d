"""How well `ffpp-prep check-fakes` tells touched faces from untouched ones, by how strongly the videos are compressed.

    python benchmarks/check_fakes.py             # 24 frames of each video

The sample's forgeries, each made to flicker, so that touched and untouched frames stand in one fake. Originals and
fakes are encoded once from the same raw frames at each CRF; besides, originals are encoded a second time.
NeuralTextures is the faintest. "Can't tell" counts as touched. What matters most is the column "untouched" of touched
faces, which would be left out of training. The thresholds were chosen on forgeries of this sample.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.fakes import FaceDifference, compare, judge
from ffpp_prep.sample import plan, render
from ffpp_prep.settings import FakeSettings
from ffpp_prep.video import Encoder, PyAVReader, open_output

# One of each person, and a second of the talking head.
TAKES = ("000", "001", "002", "003", "012", "014", "022", "023")
CRFS = (23, 28, 35, 40)
AGAIN = (("libx264", {"crf": "30"}), ("mpeg4", {"qscale": "5", "b": "1500000"}))
DETECT_EVERY = 8

Frames = list[NDArray[np.uint8]]
Boxes = list[NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=24)
    frames = parser.parse_args().frames
    settings = FakeSettings()
    groups: dict[tuple[str, str], list[FaceDifference]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for compression, kind, difference in measured(Path(folder), frames):
            groups.setdefault((compression, kind), []).append(difference)
    print(
        f"Touched from a contrast of {settings.threshold}; the faintest manipulation: {settings.faintest} grey levels\n"
    )
    print(
        "| | | faces | contrast, median | touched | untouched | can't tell |\n|---|---|---|---|---|---|---|"
    )
    for (compression, kind), differences in sorted(groups.items()):
        verdicts = Counter(judge(settings, d) for d in differences)
        shares = [f"{verdicts[v] / len(differences):.1%}" for v in ("touched", "untouched", "unknown")]
        middle = np.median([d.contrast for d in differences])
        print(f"| {compression} | {kind} | {len(differences)} | {middle:.2f} | {' | '.join(shares)} |")


def measured(root: Path, frames: int) -> Iterator[tuple[str, str, FaceDifference]]:
    """Encodes, decodes and compares: how it was compressed, what was compared, and each face."""
    detector = load_detector("litert", threads=2)
    cast = plan.make_plan()
    for name in TAKES:
        raw = list(render.filmed(name, 0, frames).frames)
        found = [detector.detect(picture[None])[0].boxes[:1] for picture in raw[::DETECT_EVERY]]
        boxes = [found[i // DETECT_EVERY].astype(np.float64) for i in range(len(raw))]
        methods = {fake.method: fake for fake in cast.fakes_of(name)}
        fakes = {method: render.forged(fake, 0, frames, flickers=True) for method, fake in methods.items()}
        for crf in CRFS:
            options = {"preset": "fast", "crf": str(crf)}
            real = recoded(root, raw, options=options)
            for method, (forgery, on) in fakes.items():
                differences = compared(recoded(root, list(forgery.frames), options=options), real, boxes)
                for difference, touched in zip(differences, on, strict=True):
                    yield f"CRF {crf}", f"touched, {method}" if touched else "untouched", difference
            if crf == CRFS[0]:
                for codec, again in AGAIN:
                    for difference in compared(recoded(root, real, codec, again), real, boxes):
                        yield f"CRF {crf}, again by {codec}", "untouched", difference


def compared(fake: Frames, real: Frames, boxes: Boxes) -> Iterator[FaceDifference]:
    for pictures in zip(fake, real, boxes, strict=True):
        yield compare(*pictures)[0]


def recoded(
    root: Path, frames: Frames, codec: str = "libx264", options: dict[str, str] | None = None
) -> Frames:
    """The frames as they come out of an encoded file."""
    height, width = frames[0].shape[:2]
    path = root / "video.mp4"
    with open_output(path) as container:
        encoder = Encoder(container, width, height, codec=codec, options=options)
        for picture in frames:
            encoder.write(picture)
        encoder.close()
    with PyAVReader(path) as reader:
        return [frame.rgb() for frame in reader]


if __name__ == "__main__":
    main()
