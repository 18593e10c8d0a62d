"""How much memory a worker of `ffpp-prep boxes` and of `ffpp-prep extract` takes at most, whatever the video.

    python benchmarks/memory.py                        # 2 minutes to 2 hours of video, and 4K
    python benchmarks/memory.py --sizes 854x480 --minutes 120

Each line is a process of its own, from its start to its end. Long videos are detected every `--detect-every` frames,
which changes what is computed but not what is held: a row for every face, all that grows with a video's length. Wanted:
under 1.2 GiB (1229 MiB).
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from dataclasses import dataclass
from pathlib import Path

from side_by_side import long_clip

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import DEFAULT_CODEC, BoxSettings, CropSettings
from ffpp_prep.work.shards import VideoSlice, write_shard

FPS = 25


@dataclass(frozen=True)
class Peak:
    """Memory after each step, in MiB, and the rows written."""

    start: float
    boxes: float
    extract: float
    rows: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="*", default=["176x144"], help="(%(default)s)")
    parser.add_argument("--minutes", nargs="*", type=float, default=[2, 30, 120], help="(%(default)s)")
    parser.add_argument("--detect-every", type=int, default=1000, metavar="K", help="(%(default)s)")
    parser.add_argument("--no-4k", action="store_true", help="without the 48 frames of 4K")
    options = parser.parse_args()
    runs = [(s, round(m * 60 * FPS), options.detect_every) for s in options.sizes for m in options.minutes]
    runs += [] if options.no_4k else [("3840x2160", 48, 8)]
    print("| video | frames | at start, MiB | boxes, MiB | then extract, MiB |\n|---|---|---|---|---|")
    for size, frames, every in runs:
        with tempfile.TemporaryDirectory() as folder:
            width, height = map(int, size.split("x"))
            video = long_clip(Path(folder) / "video.mp4", frames, width, height)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peak = pool.apply(worker, (video, every))
        assert peak.rows == frames
        print(f"| {size} | {frames} | {peak.start:.0f} | {peak.boxes:.0f} | {peak.extract:.0f} |", flush=True)


def worker(video: Path, every: int) -> Peak:
    start = memory()
    found = detect_video("video", str(video), load_detector("litert"), BoxSettings(every=every))
    assert found.rows is not None, found.error
    boxes = memory()
    rows = found.rows.to_pandas()
    rows = rows[rows["face"] == 0]
    some = rows[rows["frame"] % 10 == 0]
    whole = VideoSlice("video", str(video), "original_sequences", "", 0, some)
    write_shard(video.parent, 0, [whole], CropSettings(codec=DEFAULT_CODEC), lambda: None)
    return Peak(start, boxes, memory(), len(rows))


def memory() -> float:
    # Not ru_maxrss, which begins with what the parent held when it started this process.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
