"""`dfd-train compare`: several runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_hardest, add_trust
from dfd_train.runs.seeds import each_run
from ffpp_prep.command_line.program import Outcome

HELP = "show several runs side by side"
EXAMPLE = "dfd-train compare runs/v1 runs/v2 --reference thesis --out comparison"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs' folders, or folders of `run --seeds`"
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("comparison"), metavar="DIR", help="where to write"
    )
    parser.add_argument("--reference", choices=("thesis",), help="show the thesis's tables next to the runs'")
    parser.add_argument(
        "--common",
        action="store_true",
        help="if the runs were tested on different videos, compare them on those that all scored",
    )
    parser.add_argument(
        "--scores",
        type=named_file,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="another detector's scores: CSV or Parquet of video_id, score in [0, 1], optionally frame; repeatable",
    )
    parser.add_argument(
        "--missing",
        choices=("refuse", "as-real", "as-fake", "as-chance"),
        default="refuse",
        help="what a video without a score in --scores counts as (default: refuse)",
    )
    add_hardest(parser)
    add_trust(parser)


def named_file(text: str) -> tuple[str, Path]:
    """Reads NAME=FILE (argparse's `type`)."""
    name, sign, file = text.partition("=")
    if not (name.strip() and sign and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name.strip(), Path(file)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.errors import UserError
    from dfd_train.report.compare import Others, compare_runs

    files = dict(options.scores)
    if len(files) < len(options.scores):
        raise UserError("--scores: two files have one name")
    comparison = compare_runs(
        each_run(options.runs),
        options.out,
        options.reference,
        options.trust,
        hardest=options.hardest,
        others=Others(files, options.missing),
        common=options.common,
    )
    if comparison.text:
        print(comparison.text)
    for note in comparison.notes:
        print(note)
    print(comparison.files[0])
    return Outcome(0, {"files": comparison.files, "notes": comparison.notes})
