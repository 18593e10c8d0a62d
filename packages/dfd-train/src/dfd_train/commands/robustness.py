"""`dfd-train robustness`: accuracy and AUC under compression, scaling, blur, noise, and other crops."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_loading, add_trust, positive
from ffpp_prep.command_line.program import Outcome

HELP = "accuracy and AUC as curves over compression, scaling, blur, noise, gamma, frames and crop margin"
EXAMPLE = "dfd-train robustness runs/v1 runs/v2 --out robustness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="runs' folders")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("robustness"),
        metavar="DIR",
        help="where to write (default: robustness)",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="all: every video, also of a set without splits (default: test)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="WORK", help="another prepared data set than the runs' own"
    )
    parser.add_argument(
        "--frames",
        type=positive,
        metavar="N",
        help="equally spaced frames a video (default: the run's, data.test_frames)",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="A,B",
        help="of crf, downscale, blur, noise, jpeg, gamma, frames, margin; default: all",
    )
    add_device(parser)
    add_loading(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.robustness.conditions import choose_sweeps
    from dfd_train.robustness.show import write_results
    from dfd_train.robustness.sweep import SweepRequest, score_run
    from dfd_train.runs.names import run_names

    run_names(options.runs)  # two of one name are refused before anything is scored
    sweeps = choose_sweeps([name.strip() for name in options.only.split(",") if name.strip()])
    request = SweepRequest(
        options.split,
        options.data,
        options.frames,
        options.device,
        options.batch_size,
        options.workers,
        tuple(options.trust),
    )
    results = [score_run(folder, sweeps, request) for folder in options.runs]
    page, table = write_results(results, sweeps, options.split, options.out)
    print(table.to_text())
    print(page)
    return Outcome(0, {"page": page})
