"""`ffpp-prep digest`: what another lab needs to show that it has the same crops, without a pixel of them."""

from __future__ import annotations

import argparse
from pathlib import PureWindowsPath

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_jobs, add_out, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.printable import printable
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

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
    from ffpp_prep.work.store import read_scan

    kind = "boxes" if options.boxes else "crops"
    rows = make_digest(work, options.out, "boxes" if options.boxes else "crops", options.jobs)
    print(f"digest: {rows:,} {kind} -> {options.out}")
    paths = [
        name for name in read_scan(work)["video_id"] if name.startswith("/") or PureWindowsPath(name).drive
    ]
    if paths:
        print(
            f"note: {counted(len(paths), 'video')} named by a path of this machine, such as {printable(paths[0])}: "
            "another lab's have other names, and the digest tells these; a column video_id in the table names them"
        )
    print(f"to compare another work folder with it:  ffpp-prep check-digest WORK {typed(options.out)}")
    return Outcome(ExitStatus.OK, {"file": options.out, "kind": kind, "rows": rows})
