"""`ffpp-prep sample`: a small data set to try everything on."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.errors import ExitStatus

HELP = "write a small data set shaped like FaceForensics++, made from pictures that come with Python packages"
EXAMPLE = "ffpp-prep sample demo-data"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of every random choice (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.sample import write_sample

    written = write_sample(options.folder, seed=options.seed)
    print(written)
    return Outcome(ExitStatus.OK, written)
