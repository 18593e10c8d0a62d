"""`ffpp-prep verify`: whether a work folder is as it was written."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.errors import ExitStatus

HELP = "check every checksum, count and crop of a work folder"
EXAMPLE = "ffpp-prep verify work --repair"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder")
    parser.add_argument(
        "--repair", action="store_true", help="remove what is damaged, so that the next run makes it again"
    )


def run(options: argparse.Namespace) -> int:
    """Verifies, and prints what is damaged; exit status 1 if anything is."""
    from ffpp_prep.verify import verify_work

    found = verify_work(options.work, options.repair)
    for damage in found.damage:
        print(f"damaged: {damage.file}: {damage.what}")
    print(
        f"verify: {found.parts} parts with {found.boxes} boxes, {found.shards} shards with {found.crops} crops "
        f"({found.bytes / 1e6:.1f} MB) are sound; {len(found.damage)} damaged"
    )
    if not found.damage:
        return ExitStatus.OK
    work = options.work
    if options.repair:
        print(f"removed; run  ffpp-prep boxes {work} --retry-failed  and  ffpp-prep extract {work}  again")
    else:
        print(f"to make it again:  ffpp-prep verify {work} --repair")
    return ExitStatus.SOME_FAILED
