"""`ffpp-prep preview`: pictures of what was found."""

from __future__ import annotations

import argparse

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_out, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.units import counted

HELP = "draw a sheet of faces and a page of frames with boxes and scores, in WORK/preview"
EXAMPLE = "ffpp-prep preview work"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    parser.add_argument(
        "--videos",
        type=int,
        default=4,
        metavar="N",
        help="videos of each method to show (default: %(default)s)",
    )
    add_out(parser, "DIR", "write there, not to WORK/preview")


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.preview import write_preview

    made = write_preview(work, options.videos, options.out)
    print(
        f"preview: {counted(made.frames, 'frame')} of {counted(made.videos, 'video')} -> {made.sheet} and {made.page}"
    )
    return Outcome(ExitStatus.OK, made)
