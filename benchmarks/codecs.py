"""How small each codec makes face crops, and how many it writes and reads at random a second, on one core.

    python benchmarks/codecs.py                  # faces of the sample's footage (real people, H.264 at CRF 23)
    python benchmarks/codecs.py --work WORK      # crops of a prepared data set's first videos

A write is encoding and appending to a file; a read is one slice of an HDF5 blob, as shards have it, and decoding.
Codecs take turns; medians over rounds. The default codec of `ffpp-prep extract` was chosen by this table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from numpy.typing import NDArray
from sample_crops import of_video, sample_crops

from ffpp_prep import read_boxes, read_videos
from ffpp_prep.format.codecs import CODECS, Codec

Crops = list[NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, help="a work folder with boxes")
    parser.add_argument("--crops", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = list(prepared(options.work) if options.work else sample_crops(Path(folder)))
        chosen = [
            found[i] for i in np.linspace(0, len(found) - 1, min(options.crops, len(found))).astype(int)
        ]
        turns: dict[str, list[tuple[float, float]]] = {codec.name: [] for codec in CODECS}
        sizes: dict[str, int] = {}
        for turn in range(options.rounds):
            order = np.random.default_rng(turn).permutation(len(chosen))
            for codec in CODECS:
                path = Path(folder) / f"{codec.name}.h5"
                started = time.perf_counter()
                sizes[codec.name] = write(path, chosen, codec)
                written = time.perf_counter()
                read(path, chosen, order, codec)
                turns[codec.name].append((written - started, time.perf_counter() - written))
    raw = sum(crop.nbytes for crop in chosen)
    side = median(crop.shape[0] for crop in chosen)
    print(
        f"\n{len(chosen)} crops, median height {side:.0f} px, one core, medians of {options.rounds} rounds\n"
    )
    print("| codec | lossless | times smaller than raw | writes/s | reads/s |\n|---|---|---|---|---|")
    for codec in CODECS:
        writes, reads = (len(chosen) / median(t[i] for t in turns[codec.name]) for i in (0, 1))
        kind = "yes" if codec.lossless else "no"
        print(f"| {codec.name} | {kind} | {raw / sizes[codec.name]:.1f} | {writes:.0f} | {reads:.0f} |")


def write(path: Path, pictures: Crops, codec: Codec) -> int:
    """Encodes all and writes them one after another, with their offsets; the bytes of the crops."""
    data = [codec.encode(picture) for picture in pictures]
    with h5py.File(path, "w") as file:
        file["blob"] = np.frombuffer(b"".join(data), np.uint8)
        file["offsets"] = np.concatenate([[0], np.cumsum([len(d) for d in data])]).astype(np.uint64)
    return sum(map(len, data))


def read(path: Path, pictures: Crops, order: NDArray[np.int64], codec: Codec) -> None:
    with h5py.File(path, "r", locking=False) as file:
        blob, offsets = file["blob"], file["offsets"][:].tolist()
        for i in order:
            data = blob[offsets[i] : offsets[i + 1]].tobytes()
            back = codec.decode(data, *pictures[i].shape[:2])
            assert back.shape == pictures[i].shape


def prepared(work: Path) -> Iterator[NDArray[np.uint8]]:
    boxes = read_boxes(work)
    for video in read_videos(work).query("status == 'ok'").iloc[::7].head(20).itertuples():
        yield from of_video(video.path, boxes[boxes["video_id"] == video.video_id].iloc[::10])


if __name__ == "__main__":
    main()
