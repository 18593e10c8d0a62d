"""Detection end to end (decode, resize, detect, link, rows) against the engine alone on the same frames.

    python benchmarks/end_to_end.py                # two processes of one thread, 480p, median of five rounds

The engine alone gets decoded frames at their own size, so the resize is in both. `--detect-every K` shows what
interpolation saves. Wanted: at least 0.9 of the engine alone.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from side_by_side import Contender, Run, clip, measure, table

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.boxes import BATCH_FRAMES, detect_video
from ffpp_prep.settings import BoxSettings
from ffpp_prep.video import open_video


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=120, help="of each process's video (%(default)s)")
    parser.add_argument("--size", default="854x480", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--detect-every", type=int, nargs="*", default=[2, 5], metavar="K")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "video.mp4", options.frames, width, height)
        contenders = [
            Contender("engine alone", engine_alone, (video,), options.processes),
            Contender("end to end", end_to_end, (video, 1), options.processes),
        ]
        for every in options.detect_every:
            name = f"end to end, --detect-every {every}"
            contenders.append(Contender(name, end_to_end, (video, every), options.processes))
        timings = measure(contenders, options.rounds, options.processes)
    print(
        f"\n{options.frames} frames of {options.size} a process, {options.processes} processes of one thread\n"
    )
    print(table(timings, timings[0]))


def engine_alone(part: int, video: Path) -> Run:
    detector = load_detector("litert")
    with open_video(video) as reader:
        frames = np.stack([frame.rgb() for frame in reader])
    batches = [frames[i : i + BATCH_FRAMES] for i in range(0, len(frames), BATCH_FRAMES)]
    return lambda: sum(len(detector.detect(batch)) for batch in batches)


def end_to_end(part: int, video: Path, every: int) -> Run:
    detector = load_detector("litert")
    return lambda: detect_video("video", str(video), detector, BoxSettings(every=every)).frames_decoded


if __name__ == "__main__":
    main()
