"""`ffpp-prep verify`: whether a work folder is as it was written."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ffpp_prep.errors import ExitStatus

HELP = "check every checksum, count and crop of a work folder"
EXAMPLE = "ffpp-prep verify work --repair"
# What makes a folder's files. --retry-failed: a video's earlier failure counts again where its success was removed.
STEPS = {"boxes": "boxes {} --retry-failed", "fakes": "check-fakes {}", "faces": "extract {}"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder")
    parser.add_argument(
        "--repair", action="store_true", help="remove what is damaged, so that the next run makes it again"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="worker processes (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Verifies, and prints what is damaged; exit status 1 if anything is."""
    from ffpp_prep.verify import verify_work

    found = verify_work(options.work, options.repair, options.jobs)
    for damage in found.damage:
        print(f"damaged: {damage.file}: {damage.what}")
    print(
        f"verify: {found.parts} parts with {found.boxes} boxes, {found.shards} shards with {found.crops} crops "
        f"({found.bytes / 1e6:.1f} MB) are sound; {len(found.damage)} damaged"
    )
    if not found.damage:
        return ExitStatus.OK
    if options.repair:
        steps = [
            step for folder, step in STEPS.items() if any(d.file.parent.name == folder for d in found.damage)
        ]
        commands = "  and  ".join(f"ffpp-prep {step}".format(options.work) for step in steps)
        print(f"what was damaged is removed; to make it again:  {commands}")
    else:
        print(f"to make it again:  ffpp-prep verify {options.work} --repair")
    return ExitStatus.SOME_FAILED
