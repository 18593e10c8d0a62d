"""`dfd-train calibrate`: what scores mean, learned from labelled videos: of a published detector, or of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_loading, add_trust, positive
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

HELP = "calibrate an adopted detector on your own labelled videos, or recalibrate a run"
EXAMPLE = "dfd-train calibrate gend --data WORK --split val"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "detector", type=Path, metavar="DETECTOR", help="a folder of `dfd-train adopt`, or a run's"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="WORK",
        help="a prepared data set with real and fake videos; omit it for a run, which uses its own validation videos",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="val",
        help="the split to calibrate on; a test split used here can no longer serve as a test (default: val)",
    )
    parser.add_argument("--frames", type=positive, metavar="N", help="frames per video (default: its card's)")
    add_device(parser)
    add_loading(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    """Scores the videos, keeps the calibration and says what it is."""
    from dfd_train.engine.adopted import calibrate_detector, calibrate_run
    from dfd_train.engine.evaluate import EvaluationRequest
    from dfd_train.errors import UserError
    from dfd_train.runs.folder import RunFolder

    request = EvaluationRequest(
        split=options.split,
        data=options.data,
        frames=options.frames,
        device=options.device,
        batch_size=options.batch_size,
        workers=options.workers,
        trust=tuple(options.trust),
    )
    if RunFolder(options.detector).is_adopted:
        if options.data is None:
            raise UserError(f"{options.detector} is an adopted detector: --data WORK says on which videos")
        calibration, said = calibrate_detector(options.detector, request)
        print(said)
    elif not RunFolder(options.detector).is_run:
        ours = (options.detector / "config.json").is_file()  # of save_pretrained
        hint = f"; first: dfd-train adopt reseption --weights {typed(options.detector)} --out DETECTOR" * ours
        raise UserError(
            f"{options.detector} is no detector; allowed: a folder of `dfd-train adopt`, or a run's (config.toml){hint}"
        )
    else:
        if options.data is not None or options.split != "val":
            raise UserError(
                f"{options.detector} is a run, calibrated on its own validation videos: "
                "--data and --split are for adopted detectors"
            )
        calibration = calibrate_run(options.detector, request)
    score = calibration.score
    print(
        f"On {calibration.videos_real:,} real and {counted(calibration.videos_fake, 'fake video')}: "
        f"the scale is {score.scale.method}, over {score.over}, with threshold {calibration.threshold:.3f}. "
        f"A program that knows no scale but temperature: {calibration.temperature:.2f}, with threshold "
        f"{calibration.plain_threshold:.3f}."
    )
    print(options.detector)
    return 0
