"""`dfd-train robustness`: accuracy and AUC under compression, scaling, blur, noise, and other crops."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_loading, add_precision, add_trust, positive
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.machine import cores
from ffpp_prep.text.units import counted

HELP = "draw accuracy and AUC as curves over compression, scaling, blur, noise, gamma, frames and crop margin"
EXAMPLE = "dfd-train robustness runs/v1 runs/v2 --out robustness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs' folders, or folders of `run --seeds`"
    )
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
        help="all: every video, even of a set without splits (default: test)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="WORK", help="another prepared data set than the runs' own"
    )
    parser.add_argument(
        "--frames",
        type=positive,
        metavar="N",
        help="equally spaced frames per video (default: the run's data.test_frames)",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="A,B",
        help="some of crf, downscale, blur, noise, jpeg, gamma, frames, margin; with --faithful, some of film-crf, "
        "film-h265, film-side, film-rate, film-messenger; default: all",
    )
    films = parser.add_argument_group("whole films")
    films.add_argument(
        "--faithful",
        action="store_true",
        help="encode whole films, then detect and cut their faces again (default: change each crop by itself, which "
        "is faster and milder)",
    )
    films.add_argument(
        "--detect-every",
        type=positive,
        metavar="K",
        help="detect every K-th frame (default: as in the prepared set)",
    )
    films.add_argument(
        "-j",
        "--jobs",
        type=positive,
        default=cores(),
        help="processes that detect faces (default: %(default)s)",
    )
    films.add_argument("--keep-films", action="store_true", help="keep the encoded films, in RUN/robustness")
    add_device(parser)
    add_precision(parser)
    add_loading(parser)
    add_trust(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many conditions are left to score, and write nothing"
    )


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.engine.validation import validate_models
    from dfd_train.robustness.conditions import choose_sweeps
    from dfd_train.robustness.show import write_results
    from dfd_train.robustness.sweep import SweepRequest, conditions_left, score_run
    from dfd_train.runs.names import run_names
    from dfd_train.runs.seeds import each_run

    runs = each_run(options.runs)
    names = run_names(runs)
    sweeps = choose_sweeps(
        [name.strip() for name in options.only.split(",") if name.strip()], options.faithful
    )
    request = SweepRequest(
        options.split,
        options.data,
        options.frames,
        options.device,
        options.batch_size,
        options.workers,
        tuple(options.trust),
        options.detect_every,
        options.jobs,
        options.keep_films,
        options.precision,
    )
    if options.dry_run:
        found = {}
        for run, name in zip(runs, names, strict=True):
            left, conditions = conditions_left(run, sweeps, request)
            print(f"{name}: {left} of {counted(conditions, 'condition')} left; nothing was written")
            found[name] = {"conditions": conditions, "left": left}
        return Outcome(0, found)
    if options.precision == "bf16":
        validate_models(runs, options.device, options.trust, options.precision)
    results = [
        replace(score_run(run, sweeps, request), run=name) for run, name in zip(runs, names, strict=True)
    ]
    page, tables = write_results(results, sweeps, options.split, options.out)
    for table in tables:
        print(table.to_text())
    print(page)
    return Outcome(0, {"page": page})
