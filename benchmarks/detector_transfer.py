"""What a network that learned from crops of one face detector loses on crops of the other, on the sample.

    python benchmarks/detector_transfer.py             # two seeds of 40 epochs; with SAMPLE, of a tree that is there

The sample is detected by each detector, and a network is trained on each one's crops from the same seed. Every
network scores the test videos by both. Small networks on a small sample: the difference counts, not the level.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np

from dfd_train.cli import main as dfd_train
from dfd_train.metrics.summary import Summary, summarize
from dfd_train.runs.predictions import read_predictions
from ffpp_prep.sample import write_sample
from ffpp_prep.settings import BoxSettings, CropSettings, DetectorName
from ffpp_prep.stages import detect_boxes, extract_faces, scan

CONFIG = Path(__file__).parents[1] / "tools" / "demo.toml"
DETECT_EVERY = 4
DETECTORS = get_args(DetectorName)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sample", type=Path, nargs="?")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = options.sample or folder / "data"
        if options.sample is None:
            write_sample(sample)
        works = {detector: prepared(sample, folder, detector, options.epochs) for detector in DETECTORS}
        scores: dict[tuple[str, str], list[Summary]] = {}
        for seed in range(options.seeds):
            for learned in DETECTORS:
                run = trained(works[learned], folder / f"{learned}-{seed}", options.epochs, seed)
                for shown in DETECTORS:
                    scores.setdefault((learned, shown), []).append(
                        scored(run, works[shown], learned == shown)
                    )
    print("| learned from crops of | tested on crops of | video AUC | log loss, frames | balanced accuracy |")
    print("|---|---|---|---|---|")
    for (learned, shown), found in scores.items():
        numbers = [
            np.mean([getattr(one, what) for one in found])
            for what in ("video_auc", "loss", "balanced_accuracy")
        ]
        print(f"| {learned} | {shown} | {' | '.join(f'{number:.3f}' for number in numbers)} |")
    videos = next(iter(scores.values()))[0].videos
    print(f"\nMeans of {options.seeds} seeds, {videos} test videos, {options.epochs} epochs.")


def prepared(sample: Path, folder: Path, detector: DetectorName, epochs: int) -> Path:
    """Writes the sample's crops by one detector; of the originals' boxes the fakes' too."""
    work = folder / f"work-{detector}"
    scan(sample, work)
    detect_boxes(work, BoxSettings(detector=detector, every=DETECT_EVERY, from_original=True), jobs=2)
    extract_faces(work, CropSettings(for_training=epochs), jobs=2)
    return work


def trained(work: Path, run: Path, epochs: int, seed: int) -> Path:
    command = [
        "run",
        "--config",
        str(CONFIG),
        "--data",
        str(work),
        "--out",
        str(run),
        "--epochs",
        str(epochs),
    ]
    command += ["--input-size", "96", "--seed", str(seed), "--workers", "0", "--quiet"]
    command += ["--set", "model.arguments={width_multiplier = 0.125, depth_multiplier = 0.34}"]
    assert dfd_train(command) == 0
    return run


def scored(run: Path, work: Path, own: bool) -> Summary:
    """Returns the test split's numbers on one detector's crops."""
    command = ["evaluate", str(run), "--split", "test", "--workers", "0", "--quiet"]
    assert dfd_train([*command, *([] if own else ["--data", str(work)])]) == 0
    name = "predictions-test.parquet" if own else f"predictions-test-on-{work.name}.parquet"
    return summarize(read_predictions(run / name)[0])


if __name__ == "__main__":
    main()
