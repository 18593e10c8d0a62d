"""`ffpp-prep digest`: what another lab needs to show that it has the same crops, without a pixel of them."""

from __future__ import annotations

import argparse

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_jobs, add_out, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.typed import typed

HELP = "write the SHA-256 of every crop, so that another lab can show that it has the same ones"
EXAMPLE = "ffpp-prep digest work -o crops.parquet"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    add_out(parser, "FILE", "the Parquet file to write", required=True)
    parser.add_argument("--boxes", action="store_true", help="list the boxes alone; no crops are needed")
    add_jobs(parser)


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.digests import make_digest

    kind = "boxes" if options.boxes else "crops"
    rows = make_digest(work, options.out, "boxes" if options.boxes else "crops", options.jobs)
    print(f"digest: {rows} {kind} -> {options.out}")
    print(f"to compare another work folder with it:  ffpp-prep check-digest WORK {typed(options.out)}")
    return Outcome(ExitStatus.OK, {"file": options.out, "kind": kind, "rows": rows})
