"""`ffpp-prep status`: where a work folder stands."""

from __future__ import annotations

import argparse

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_work, seconds, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.units import counted

HELP = "tell what is done, what failed and why, and what is left"
EXAMPLE = "ffpp-prep status work"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    parser.add_argument(
        "--watch",
        type=seconds,
        nargs="?",
        const=10.0,
        metavar="S",
        help="then look every S seconds (default: 10) and tell what is new of the run at work, until it ends",
    )
    add_csv(parser, "write every video that is not ok, and why, as a table")


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.work.failures import write_failures
    from ffpp_prep.work.status import failures_of, run_lines, status_text
    from ffpp_prep.work.store import read_videos

    print(said := status_text(work), flush=True)
    if options.watch is not None:
        for line in run_lines(work, options.watch):
            if not said.endswith(line):
                print(line, flush=True)
        print(status_text(work))
    if options.csv:
        failed = failures_of(read_videos(work, ("video_id", "status", "error")))
        write_failures(failed, options.csv)
        print(f"{counted(len(failed), 'video')} not ok -> {options.csv}")
    return Outcome(ExitStatus.OK, read_videos(work) if options.json else None)
