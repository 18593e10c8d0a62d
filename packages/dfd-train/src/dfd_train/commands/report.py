"""`dfd-train report`: the page of one run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_hardest

HELP = "write RUN/report.html"
EXAMPLE = "dfd-train report runs/v1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="RUN")
    add_hardest(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the page."""
    from dfd_train.report.page import write_report

    print(write_report(options.folder, options.hardest))
    return 0
