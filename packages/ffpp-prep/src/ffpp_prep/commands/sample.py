"""`ffpp-prep sample`: a small data set to try everything on."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.errors import ExitStatus

HELP = "write a small FF++-shaped data set, made from pictures that Python packages ship"
EXAMPLE = "ffpp-prep sample demo-data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Writes the data set."""
    from ffpp_prep.sample import write_sample

    print(write_sample(options.folder, seed=options.seed))
    return ExitStatus.OK
