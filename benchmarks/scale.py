"""What the commands cost as a prepared set grows: processor time and memory by the number of videos.

    python benchmarks/scale.py                          # 500 to 25,000 videos; 5 minutes of processor time, 0.5 GB
    python benchmarks/scale.py 1000 5000 119000         # other sizes; DFDC has 119,000 videos

The sets are made by the project's own writers, without videos: four fakes of each original, 300 frames with a face,
80 videos in a part of boxes, 12 small crops a video in shards as large as `extract` plans them for faces of 400 pixels;
and two runs with their predictions on a quarter of the videos. Each command is a process of its own, from its start to
its end, so that starting Python (and torch) is in every figure; the clock is its processor time. What a further video
costs is the difference between two sizes: where the cost is linear, both steps cost the same. A command is reported
as not linear where the last step takes more than twice what the one before it lets expect, and more than half of what
the smallest set takes, and a second, besides.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa

from ffpp_prep.detector.weights import WEIGHTS_SHA256
from ffpp_prep.format.checksums import write_checked_json
from ffpp_prep.format.manifest import MANIFEST, manifest_of
from ffpp_prep.format.records import REAL_METHOD, VideoRecord
from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.format.shard_summaries import read_summaries
from ffpp_prep.one_video.boxes import VideoBoxes
from ffpp_prep.settings import DEFAULT_CODEC, BoxSettings, CropSettings
from ffpp_prep.work.plan import write_plan
from ffpp_prep.work.planning import plan_shards, planned_slices, unplanned
from ffpp_prep.work.shards import header_of, write_shard
from ffpp_prep.work.store import BoxStore, read_videos_and_parts, write_scan

SIZES = (500, 2000, 8000, 25000)
FRAMES, CROPS = 300, 12
A_GROUP, A_PART = 5, 80  # videos
SPLITS = ("train", "train", "val", "test")
PICTURE = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
PYTHON = (sys.executable, "-m")
RUNS = ("first", "second")


@dataclass(frozen=True)
class Cost:
    """Of one process: processor time, and its memory at most."""

    seconds: float
    megabytes: float


Costs = dict[str, list[Cost]]  # by command, a cost a size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES), metavar="VIDEOS")
    parser.add_argument("--do", nargs=2, metavar=("NAME", "WORK"), help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=3, metavar=("FOLDER", "VIDEOS", "FRAMES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        DONE_HERE[options.do[0]](Path(options.do[1]))
        return 0
    if options.make:
        make(Path(options.make[0]), *map(int, options.make[1:]))
        return 0
    sizes = sorted(options.sizes)
    if len(sizes) < 3:
        parser.error(f"{len(sizes)} sizes: at least three are compared")
    costs = measure(sizes)
    print(table(sizes, costs))
    wrong = not_linear(sizes, costs)
    print(f"\nNot linear: {', '.join(wrong) or 'none'}.")
    return len(wrong)


def measure(sizes: Sequence[int], frames: int = FRAMES) -> Costs:
    """Makes a set of each size and runs every command on it."""
    costs: Costs = {}
    for videos in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # in a process of its own: a child's peak begins with what its parent holds
            maker = (sys.executable, __file__, "--make", name, str(videos), str(frames))
            print(f"{videos:,} videos made: {cost_of(maker, folder)}", file=sys.stderr, flush=True)
            for what, command in commands(folder).items():
                costs.setdefault(what, []).append(cost_of(command, folder))
                print(f"  {what}: {costs[what][-1]}", file=sys.stderr, flush=True)
    return costs


def make(folder: Path, videos: int, frames: int) -> None:
    """Makes a set and its two runs in a folder."""
    work = make_work(folder / "work", videos, frames)
    for seed, run in enumerate(RUNS):
        make_run(folder / run, work, seed)


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """What is run on a set, by the words of the table."""
    work, prep, train = folder / "work", (*PYTHON, "ffpp_prep"), (*PYTHON, "dfd_train")
    both = tuple(str(folder / run) for run in RUNS)
    found = {
        "status": (*prep, "status", str(work)),
        "check-splits": (*prep, "check-splits", str(work)),
        "verify": (*prep, "verify", str(work), "--jobs", "1"),
        "boxes, nothing left to do": (*prep, "boxes", str(work), "--jobs", "1"),
        "extract, nothing left to do": (*prep, "extract", str(work), "--frames", str(CROPS), "--jobs", "1"),
        "report": (*train, "report", both[0]),
        "compare, two runs": (*train, "compare", *both, "--out", str(folder / "comparison")),
    }
    return found | {name: (sys.executable, __file__, "--do", name, str(work)) for name in DONE_HERE}


def cost_of(command: Sequence[str], folder: Path, expected: int = 0) -> Cost:
    """Runs a command with one thread. Raises: RuntimeError where it ends with another status than expected."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(command, env={**os.environ, **threads}, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode != expected:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_work(work: Path, videos: int, frames: int) -> Path:
    """A prepared set, by the writers of scan, boxes and extract."""
    random = np.random.default_rng(0)
    records = [_record(work, number) for number in range(videos)]
    work.mkdir()
    write_scan(work, records, {"root": str(work / "videos")})
    store, looks = BoxStore(work), _looks(random, videos)
    for first in range(0, videos, A_PART):
        part = [
            _boxes(record.video_id, frames, looks[first + place], random)
            for place, record in enumerate(records[first : first + A_PART])
        ]
        store.commit(part, BoxSettings(weights_sha256=WEIGHTS_SHA256), "litert")
    settings = CropSettings(codec=DEFAULT_CODEC, frames=CROPS, boxes=store.fingerprint())
    table, folder = read_videos_and_parts(work), work / "faces"
    folder.mkdir()
    plan, _ = plan_shards(work, unplanned(table, [], settings), settings, None)
    write_plan(folder, plan, settings)
    by_id = table.set_index("video_id")
    with mock.patch("ffpp_prep.work.shards.crops", _pictures):
        for number, pieces in enumerate(plan):
            own = by_id.loc[[piece.video_id for piece in pieces]]
            slices = planned_slices(store, own, pieces, settings)
            write_shard(folder, number, slices, settings, lambda: None)
    summaries = read_summaries(folder, len(plan))
    write_checked_json(folder / MANIFEST, manifest_of(summaries, header_of(settings), settings.boxes))
    return work


def _pictures(path: str, boxes: pd.DataFrame, *_: object) -> Iterator[tuple[int, np.ndarray]]:
    """In place of decoding: the same small crop for every box."""
    return ((position, PICTURE) for position in range(len(boxes)))


def _record(work: Path, number: int) -> VideoRecord:
    group, fake = divmod(number, A_GROUP)
    split = SPLITS[group % len(SPLITS)]
    folder = f"dfdc_train_part_{split}"
    name, original = f"{folder}/v{number:07d}.mp4", f"{folder}/v{group * A_GROUP:07d}.mp4"
    return VideoRecord(
        video_id=name,
        path=str(work / "videos" / name),
        dataset="dfdc",
        method="DFDC" if fake else REAL_METHOD,
        label=int(fake > 0),
        split=split,
        original_id=original if fake else "",
        group=original,
    )


def _boxes(video_id: str, frames: int, looks: bytes, random: np.random.Generator) -> VideoBoxes:
    """One face of 300 to 400 pixels in every frame of a video."""
    number, score = np.arange(frames, dtype="i4"), random.uniform(0.5, 1, frames).astype("f4")
    corner = random.uniform(0, 500, (2, frames)).astype("f4")
    side = random.uniform(300, 400, frames).astype("f4")
    square = dict(zip(("x1", "y1", "x2", "y2"), (*corner, *(corner + side)), strict=True))
    whole = {name: np.rint(value).astype("i4") for name, value in zip(
        ("left", "top", "right", "bottom"), square.values(), strict=True)}  # fmt: skip
    columns = {
        "video_id": pa.DictionaryArray.from_arrays(pa.array(np.zeros(frames, "i4")), pa.array([video_id])),
        "frame": number,
        "pts": number.astype("i8") * 512,
        "face": np.zeros(frames, "i1"),
        "track": np.zeros(frames, "i4"),
        "score": score,
        "interpolated": np.zeros(frames, bool),
        **square,
        **whole,
    }
    return VideoBoxes(
        video_id,
        "ok",
        width=1920,
        height=1080,
        fps=30,
        frames_container=frames,
        frames_decoded=frames,
        frames_with_face=frames,
        detector="litert",
        likeness=looks,
        rows=pa.table({name: columns[name] for name in BOXES_SCHEMA.names}, schema=BOXES_SCHEMA),
    )


def _looks(random: np.random.Generator, videos: int) -> list[bytes]:
    """What videos look like of which none are alike, as `benchmarks/likeness.py` has it."""
    fall = 1 / np.maximum(np.hypot(*np.mgrid[:10, :10]), 1)
    found = []
    for _ in range(videos):
        frames = (random.normal(size=(1, 10, 10)) + 0.1 * random.normal(size=(5, 10, 10))) * fall
        share = frames / np.abs(frames).max((1, 2), keepdims=True)
        found.append(np.rint(127 * np.sign(share) * np.sqrt(np.abs(share))).astype(np.int8).tobytes())
    return found


def make_run(run: Path, work: Path, seed: int) -> Path:
    """A run of one epoch, without a checkpoint, that was evaluated on the set's test videos."""
    from dfd_train.runs.folder import RunFolder
    from dfd_train.runs.predictions import write_predictions
    from dfd_train.settings.config import build_config

    run.mkdir()
    folder, random = RunFolder(run), np.random.default_rng(seed)
    folder.write_config(build_config({"data": {"work": str(work)}, "train": {"epochs": 1, "seed": seed}}))
    folder.write_json("data.json", {"work": str(work)})
    folder.write_json("environment.json", {})
    folder.add_event({"event": "epoch", "epoch": 1, "train_loss": 0.7, "val_loss": 0.7})
    videos = read_videos_and_parts(work)
    videos = videos[videos["split"] == "test"].reset_index(drop=True)
    columns = ["video_id", "dataset", "compression", "method", "split", "original_id", "label"]
    rows = videos.loc[np.repeat(videos.index, CROPS), [*columns, "source_id", "target_id"]]
    centre = np.where(videos["label"], 1.5, -1.5) + random.normal(0, 1.5, len(videos))
    rows = rows.reset_index(drop=True).assign(
        face=np.int8(0),
        frame=np.tile(np.arange(CROPS, dtype="i4"), len(videos)),
        logit=(np.repeat(centre, CROPS) + random.normal(0, 1, len(rows))).astype("f4"),
    )
    write_predictions(folder.predictions("test"), rows, {"work": str(work), "checkpoint": "best"})
    return run


def read_crops(work: Path) -> None:
    """2,000 crops, anywhere."""
    from ffpp_prep.format.frames import spaced_frames
    from ffpp_prep.format.prepared import load_prepared

    prepared, random = load_prepared(work), np.random.default_rng(0)
    for row in random.integers(0, len(prepared.videos), 2000).tolist():
        frames = spaced_frames(prepared.length(row), CROPS)
        prepared.read_crop_at(row, frames[0])


def find_boxes(work: Path) -> None:
    """A box of each of 200 videos, anywhere."""
    from ffpp_prep.format.prepared import load_prepared

    prepared, random = load_prepared(work), np.random.default_rng(0)
    for row in random.integers(0, len(prepared.videos), 200).tolist():
        assert prepared.boxes.find(str(prepared.videos.at[row, "video_id"]), 10, 0)


def read_all_boxes(work: Path) -> None:
    """Every row, part by part."""
    from ffpp_prep import iter_boxes

    for _ in iter_boxes(work, columns=("video_id", "frame", "score")):
        pass


def plan_an_epoch(work: Path) -> None:
    """Shuffled batches of all frames."""
    from dfd_train.data.batches import plan_epoch
    from dfd_train.data.selection import select_videos
    from dfd_train.settings.config import DataConfig
    from ffpp_prep.format.prepared_videos import read_prepared_videos

    videos = select_videos(read_prepared_videos(work)[0], "train").videos
    plan_epoch(DataConfig(batches="shuffled", train_frames=0), videos, [], epoch=1, total_epochs=50, seed=0)


DONE_HERE: dict[str, Callable[[Path], None]] = {
    "2,000 crops in random order": read_crops,
    "boxes of 200 videos in random order": find_boxes,
    "all boxes, part by part": read_all_boxes,
    "plan of an epoch of all frames": plan_an_epoch,
}


def further(sizes: Sequence[int], costs: Sequence[Cost]) -> list[float]:
    """Seconds that a further video costs, by step from size to size."""
    return [
        (after.seconds - before.seconds) / (more - fewer)
        for (fewer, more), (before, after) in zip(
            itertools.pairwise(sizes), itertools.pairwise(costs), strict=True
        )
    ]


def not_linear(sizes: Sequence[int], costs: Costs) -> list[str]:
    """The commands whose last step takes more than twice what the one before lets expect.

    Half of what the smallest set takes, and a second, are allowed for what a busy machine adds to starting a process.
    """
    videos = sizes[-1] - sizes[-2]
    found = []
    for what, each in costs.items():
        *_, expected, last = further(sizes, each)
        if last * videos > 2 * max(expected, 0) * videos + each[0].seconds / 2 + 1:
            found.append(what)
    return found


def table(sizes: Sequence[int], costs: Costs) -> str:
    """A Markdown table, a row a command."""
    head = [*(f"s, {size:,} videos" for size in sizes)]
    head += [f"ms a further video to {size:,}" for size in sizes[1:]]
    head += [f"MB, {size:,}" for size in (sizes[0], sizes[-1])]
    lines = [f"| command | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for what, each in costs.items():
        cells = [f"{cost.seconds:.1f}" for cost in each]
        cells += [f"{1000 * seconds:.2f}" for seconds in further(sizes, each)]
        cells += [f"{each[0].megabytes:.0f}", f"{each[-1].megabytes:.0f}"]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
