"""`dfd-train compare`: several runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_hardest, add_trust

HELP = "several runs side by side"
EXAMPLE = "dfd-train compare runs/v1 runs/v2 --reference thesis --out comparison"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="where to write")
    parser.add_argument("--reference", choices=("thesis",), help="the thesis's tables beside the runs'")
    add_hardest(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    """Writes the comparison; says which runs were not evaluated."""
    from dfd_train.compare import compare_runs

    comparison = compare_runs(
        options.runs, options.out, options.reference, options.trust, hardest=options.hardest
    )
    for note in comparison.notes:
        print(note)
    print(comparison.files[0])
    return 0
