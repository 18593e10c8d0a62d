"""`ffpp-prep status`: where a work folder stands."""

from __future__ import annotations

import argparse

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_work, work_of
from ffpp_prep.errors import ExitStatus

HELP = "tell what is done, what failed and why, and what is left"
EXAMPLE = "ffpp-prep status work"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    add_csv(parser, "write every video that is not ok, and why, as a table")


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.work.failures import write_failures
    from ffpp_prep.work.status import failures_of, status_text
    from ffpp_prep.work.store import read_videos

    print(status_text(work))
    videos = read_videos(work)
    if options.csv:
        failed = failures_of(videos)
        write_failures(failed, options.csv)
        print(f"{len(failed)} videos that are not ok -> {options.csv}")
    return Outcome(ExitStatus.OK, videos)
