"""`ffpp-prep check-splits`: whether splits leak into each other."""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted, plural

if TYPE_CHECKING:
    from ffpp_prep.datasets.leaks import Audit, Leak

HELP = "look for the same original, group, person, file or pictures in two splits; exits 1 if there are any"
EXAMPLE = "ffpp-prep check-splits work --csv pairs.csv"
LISTED = 10  # leaks of a kind that are printed; the others are counted


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    add_csv(parser, "write every pair of videos that share something")
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="WORK",
        help="a further prepared set that trains together with this one: look across them too; repeatable",
    )
    parser.add_argument(
        "--no-content", action="store_true", help="don't read files to find identical ones under other names"
    )


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.datasets.leaks import audit_splits, write_pairs

    audit = audit_splits(work, content=not options.no_content, also=options.also)
    for kind, leaks in groupby(audit.leaks, key=lambda leak: leak.kind):
        _print_kind(kind, list(leaks))
    if options.csv:
        write_pairs(audit.leaks, options.csv)
        print(f"{counted(sum(leak.pairs for leak in audit.leaks), 'pair')} -> {options.csv}")
    elif audit.leaks:
        works = " --also ".join(map(typed, (work, *options.also)))
        print(f"every pair, as a table:  ffpp-prep check-splits {works} --csv pairs.csv")
    _print_summary(audit)
    return Outcome(ExitStatus.SOME_FAILED if audit.leaks else ExitStatus.OK, audit)


def _print_kind(kind: str, leaks: list[Leak]) -> None:
    from ffpp_prep.datasets.leaks import KINDS

    pairs = sum(leak.pairs for leak in leaks)
    print(f"{KINDS[kind]}: {len(leaks):,}, in {counted(pairs, 'pair')} of videos")
    for leak in leaks[:LISTED]:
        print(f"  {leak.line()}")
    if len(leaks) > LISTED:
        print(f"  … and {len(leaks) - LISTED:,} more")


def _print_summary(audit: Audit) -> None:
    if audit.without_people:
        print(
            f"note: {', '.join(audit.without_people)} doesn't say who is shown, so leaks by person can't be seen there"
        )
    if audit.shared_parts:
        print(
            f"note: {counted(audit.shared_parts, 'part')} of DFDC in several splits, and most people in one part: "
            "expect the same people there; --dfdc-splits parts holds out whole parts"
        )
    if audit.without_pictures:
        print(
            f"note: {counted(audit.without_pictures, 'video')} without recorded pictures (boxes records them): copies "
            "that were encoded again can't be seen there"
        )
    if audit.unread:
        print(f"note: {counted(audit.unread, 'file')} can't be read, and thus not compared by content")
    content = (
        "content not compared"
        if audit.hashed is None
        else f"{counted(audit.hashed, 'file')} of equal size compared"
    )
    videos = ", ".join(f"{count:,} {split}" for split, count in audit.videos.items())
    videos += f" {plural(sum(audit.videos.values()), 'video')}"
    print(f"check-splits: {counted(len(audit.leaks), 'leak')}; {videos}; {content}")
