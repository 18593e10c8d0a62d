"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.errors import UserError
from ffpp_prep.machine import cores

__all__ = ["add_csv", "add_jobs", "add_out", "add_retry", "add_sharing", "add_work", "seconds", "work_of"]


def add_work(parser: Parser, said: str = "the work folder") -> None:
    """Adds WORK, which may be given as `--data WORK` too, as in dfd-train."""
    parser.add_argument("work", type=Path, nargs="?", metavar="WORK", help=f"{said}; or --data WORK")
    parser.add_argument("--data", type=Path, metavar="WORK", help=argparse.SUPPRESS)


def work_of(options: argparse.Namespace) -> Path:
    """Returns the folder that `add_work` asked for.

    Raises:
        UserError: none was given, or two.
    """
    given = [folder for folder in (options.work, options.data) if folder is not None]
    if len(given) != 1:
        raise UserError(f"give one work folder, WORK or --data WORK; {len(given)} were given")
    return Path(given[0])


def add_out(parser: Parser, metavar: str, said: str, *, required: bool = False) -> None:
    """Adds -o, --out."""
    parser.add_argument("-o", "--out", type=Path, required=required, metavar=metavar, help=said)
    parser.add_old_name("--output", "--out")


def add_jobs(parser: argparse._ActionsContainer) -> None:
    """Adds -j, --jobs."""
    parser.add_argument(
        "-j", "--jobs", type=int, default=cores(), metavar="N", help="worker processes (default: %(default)s)"
    )


def add_sharing(parser: Parser) -> None:
    """Adds how the work is shared out."""
    group = parser.add_argument_group("work")
    add_jobs(group)
    group.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="let the workers of this Dask cluster (tcp://host:port) do the work; see docs/cluster.md",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        default=300.0,
        metavar="S",
        help="stop a worker that made no progress for this many seconds (default: %(default)g)",
    )


def add_retry(parser: Parser) -> None:
    """Adds --retry-failed."""
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed before")


def add_csv(parser: Parser, said: str) -> None:
    """Adds --csv."""
    parser.add_argument("--csv", type=_file, metavar="FILE", help=said)


def _file(text: str) -> Path:
    if Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: a folder; give the name of a file")
    return Path(text)


def seconds(text: str) -> float:
    """Returns a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return value
