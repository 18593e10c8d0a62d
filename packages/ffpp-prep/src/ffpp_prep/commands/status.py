"""`ffpp-prep status`: where a work folder stands."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.errors import ExitStatus

HELP = "what is done, what failed and why, what is left"
EXAMPLE = "ffpp-prep status work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder")


def run(options: argparse.Namespace) -> int:
    """Prints the status."""
    from ffpp_prep.report import status_text

    print(status_text(options.work))
    return ExitStatus.OK
