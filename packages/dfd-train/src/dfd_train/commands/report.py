"""`dfd-train report`: the page of one run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_hardest
from ffpp_prep.command_line.program import Outcome

HELP = "write RUN/report.html"
EXAMPLE = "dfd-train report runs/v1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    add_hardest(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.report.page import write_report

    page = write_report(options.folder, options.hardest)
    print(page)
    return Outcome(0, {"page": page})
