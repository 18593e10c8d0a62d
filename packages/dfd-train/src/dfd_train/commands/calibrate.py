"""`dfd-train calibrate`: what a published detector's scores mean on footage of yours."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_loading, positive

HELP = "temperature and threshold of an adopted detector from labelled videos of yours"
EXAMPLE = "dfd-train calibrate gend --data WORK --split val"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("detector", type=Path, metavar="DETECTOR", help="a folder of `dfd-train adopt`")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="WORK", help="a prepared data set, real and fake videos"
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="val",
        help="which of its videos; test ones can't test it afterwards (default: val)",
    )
    parser.add_argument("--frames", type=positive, metavar="N", help="frames a video (default: its card's)")
    add_device(parser)
    add_loading(parser)


def run(options: argparse.Namespace) -> int:
    """Scores the videos, keeps the calibration and says what it is."""
    from dfd_train.engine.adopted import calibrate_detector
    from dfd_train.engine.evaluate import EvaluationRequest

    request = EvaluationRequest(
        split=options.split,
        data=options.data,
        frames=options.frames,
        device=options.device,
        batch_size=options.batch_size,
        workers=options.workers,
    )
    calibration, said = calibrate_detector(options.detector, request)
    print(said)
    print(
        f"On {calibration.videos_real} real and {calibration.videos_fake} fake videos: "
        f"temperature {calibration.temperature:.2f}, threshold {calibration.threshold:.3f}."
    )
    print(options.detector)
    return 0
