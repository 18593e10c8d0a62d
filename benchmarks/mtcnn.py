"""Detection as `ffpp-prep boxes` does it against MTCNN of facenet-pytorch, from file to faces, on equal cores.

    pip install --no-deps --target .venv/bench facenet-pytorch      # its pins would take torch back by years
    PYTHONPATH=.venv/bench python benchmarks/mtcnn.py

Both decode with PyAV and run one process of one thread a core; MTCNN gets batches of 16 frames, its defaults, and all
faces. The package brings MTCNN's weights. Wanted: faster on 480p.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import Contender, Run, clip, measure, table
from thesis_pipeline import batches, ours


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=32, help="of each core's video (%(default)s)")
    parser.add_argument("--size", default="854x480", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    if importlib.util.find_spec("facenet_pytorch") is None:
        print("facenet-pytorch is not installed; see the first lines of this file", file=sys.stderr)
        sys.exit(77)
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "video.mp4", options.frames, width, height)
        contenders = [
            Contender("MTCNN", mtcnn, (video,), options.cores),
            Contender("ffpp-prep", ours, (video,), options.cores),
        ]
        timings = measure(contenders, options.rounds, options.cores)
    print(f"\n{options.cores} videos of {options.frames} frames, {options.size}, {options.cores} cores\n")
    print(table(timings, timings[0]))


def mtcnn(part: int, video: Path) -> Run:
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)
    detector = MTCNN(keep_all=True, device="cpu")

    def run() -> int:
        frames = 0
        for batch in batches(video):
            boxes, _ = detector.detect(np.ascontiguousarray(batch))
            frames += len(boxes)
        return frames

    return run


if __name__ == "__main__":
    main()
