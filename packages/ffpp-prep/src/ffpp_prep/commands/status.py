"""`ffpp-prep status`: where a work folder stands."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.errors import ExitStatus, UserError

HELP = "what is done, what failed and why, what is left"
EXAMPLE = "ffpp-prep status work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write every video that is not ok, and why, as a table"
    )


def run(options: argparse.Namespace) -> int:
    """Prints the status."""
    from ffpp_prep.work.failures import write_failures
    from ffpp_prep.work.status import failures_of, status_text
    from ffpp_prep.work.store import read_videos

    if options.csv and options.csv.is_dir():
        raise UserError(f"--csv {options.csv}: a folder; give the name of a file")
    print(status_text(options.work))
    if options.csv:
        failed = failures_of(read_videos(options.work))
        write_failures(failed, options.csv)
        print(f"{len(failed)} videos that are not ok -> {options.csv}")
    return ExitStatus.OK
