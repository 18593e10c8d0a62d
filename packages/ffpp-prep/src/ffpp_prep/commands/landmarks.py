"""`ffpp-prep landmarks`: 468 points of every kept face."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.commands.boxes import add_job_arguments, add_retry_argument
from ffpp_prep.errors import ExitStatus, UserError

HELP = "find 468 points, a face flag and the pose of every kept face -> WORK/landmarks"
EXAMPLE = "ffpp-prep landmarks work --jobs 8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder with boxes")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write every video that is not ok, and why, as a table"
    )
    add_job_arguments(parser)
    add_retry_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Finds the points, and prints what failed and why."""
    if options.csv and options.csv.is_dir():
        raise UserError(f"--csv {options.csv}: a folder; give the name of a file")
    return find(options.work, options, options.csv)


def find(work: Path, options: argparse.Namespace, csv: Path | None = None) -> int:
    """Runs the stage on WORK with the options of `add_job_arguments` and `add_retry_argument`."""
    from ffpp_prep.stages.landmarks import FAILED, find_landmarks
    from ffpp_prep.work.failures import failure_lines, write_failures

    summary = find_landmarks(work, options.jobs, options.retry_failed, options.timeout, options.scheduler)
    done = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(
        f"landmarks: {done}; {summary.skipped} done before; {summary.frames} frames{rate} -> {work / 'landmarks'}"
    )
    print(f"{summary.faces} faces, of which the mesh takes {summary.faces - summary.faces_flagged} for none")
    for line in failure_lines(summary.failures, work, "landmarks"):
        print(line)
    if csv:
        write_failures(summary.failures, csv)
        print(f"{len(summary.failures)} videos that are not ok -> {csv}")
    failed = any(status in FAILED for _, status, _ in summary.failures)
    return ExitStatus.SOME_FAILED if failed else ExitStatus.OK
