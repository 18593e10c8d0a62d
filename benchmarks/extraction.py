"""Writing crops against plain decoding of the same video, on one core.

    python benchmarks/extraction.py              # 480p, every face of every frame; median of five rounds

Plain decoding is PyAV's own loop with each frame turned into RGB; extraction is what a worker of `ffpp-prep extract`
does for a shard: decode, cut, encode, write, read back and compare, checksum, commit. Wanted: with the codec `raw` at
least 0.8 of plain decoding.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

import av
from side_by_side import Contender, Run, clip, measure, table

from ffpp_prep.detector import load_detector
from ffpp_prep.one_video.boxes import detect_video
from ffpp_prep.settings import BoxSettings, CropSettings
from ffpp_prep.video import CONVERSION
from ffpp_prep.work.shards import VideoSlice, write_shard

CODECS = ("raw", "zstd", "webp", "jxl", "qoi", "png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=1500, help="of the video; about a shard (%(default)s)")
    parser.add_argument("--size", default="854x480", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = clip(Path(folder) / "video.mp4", options.frames, width, height)
        contenders = [Contender("plain decoding", decoding, (video,))]
        contenders += [Contender(f"extract, {codec}", extraction, (video, codec)) for codec in CODECS]
        timings = measure(contenders, options.rounds, cores=1)
    print(f"\n{options.frames} frames of {options.size}, a crop of each, one core\n")
    print(table(timings, timings[0]))


def decoding(part: int, video: Path) -> Run:
    def run() -> int:
        frames = 0
        with av.open(str(video)) as container:
            container.streams.video[0].thread_type = "NONE"
            for frame in container.decode(video=0):
                frame.to_ndarray(format="rgb24", interpolation=CONVERSION)
                frames += 1
        return frames

    return run


def extraction(part: int, video: Path, codec: str) -> Run:
    found = detect_video("video", str(video), load_detector("litert"), BoxSettings(every=60))
    assert found.rows is not None, found.error
    boxes = found.rows.to_pandas()
    whole = VideoSlice("video", str(video), "original_sequences", "", 0, boxes[boxes["face"] == 0])
    folder = video.parent / codec
    folder.mkdir()
    numbers = count()
    return lambda: write_shard(folder, next(numbers), [whole], CropSettings(codec=codec), lambda: None).crops


if __name__ == "__main__":
    main()
