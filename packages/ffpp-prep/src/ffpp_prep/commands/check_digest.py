"""`ffpp-prep check-digest`: whether a work folder has the crops that a digest from elsewhere names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_jobs
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    from ffpp_prep.digests import Comparison

HELP = "compare a work folder's crops with another lab's digest; exits 1 if they differ"
EXAMPLE = "ffpp-prep check-digest work crops.parquet --csv differences.csv"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("work", type=Path, metavar="WORK", help="the work folder")
    parser.add_argument("digest", type=Path, metavar="DIGEST", help="the file that `ffpp-prep digest` wrote")
    add_csv(parser, "write every row of the digest that isn't equal here")
    add_jobs(parser)


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.digests import check_digest
    from ffpp_prep.digests.compare import write_differences

    found = check_digest(options.work, options.digest, options.jobs)
    _print(found)
    if options.csv:
        write_differences(found, options.csv)
        print(f"the {len(found.table)} that differ -> {options.csv}")
    return Outcome(ExitStatus.OK if found.equal else ExitStatus.SOME_FAILED, found)


def _print(found: Comparison) -> None:
    from ffpp_prep.digests.compare import KINDS

    print(f"check-digest: {found.rows:,} {found.kind} of {counted(found.videos, 'video')} in the digest")
    for one in found.found:
        said = "; ".join(text for text in (KINDS[one.kind], one.detail) if text)
        print(f"  {one.kind:<15} {one.rows:>9}" + (f"  {said}" if said else ""))
        if one.example:
            print(f"{'':<28} such as {printable(one.example)}")
    if found.only_here:
        print(f"  {'only here':<15} {found.only_here:>9}  the digest doesn't name them")
    if not found.equal:
        for line in found.unlike:
            print(f"  made otherwise: {printable(line)}")
    print("all equal" if found.equal else f"not the same {found.kind}")
