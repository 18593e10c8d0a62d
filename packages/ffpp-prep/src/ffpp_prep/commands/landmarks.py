"""`ffpp-prep landmarks`: 468 points of every kept face."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_retry, add_sharing, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.text.units import counted

HELP = "find 468 points, a face flag and the pose of every kept face, and write them to WORK/landmarks"
EXAMPLE = "ffpp-prep landmarks work --jobs 8"


def add_arguments(parser: Parser) -> None:
    add_work(parser, "a work folder with boxes")
    add_csv(parser, "write every video that is not ok, and why, as a table")
    add_sharing(parser)
    add_retry(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many videos are left, and write nothing"
    )


def run(options: argparse.Namespace) -> Outcome:
    if options.dry_run:
        return _left(work_of(options), options.retry_failed)
    return find(work_of(options), options, options.csv)


def _left(work: Path, retry_failed: bool) -> Outcome:
    from ffpp_prep.stages.landmarks import landmarks_left

    left, videos = landmarks_left(work, retry_failed)
    print(f"landmarks: {left:,} of {counted(videos, 'video')} left; nothing was written")
    return Outcome(ExitStatus.OK, {"videos": videos, "left": left})


def find(work: Path, options: argparse.Namespace, csv: Path | None = None) -> Outcome:
    """Runs the stage on WORK with the options of `add_sharing` and `add_retry`."""
    from ffpp_prep.stages.landmarks import FAILED, find_landmarks
    from ffpp_prep.work.failures import failure_lines, write_failures

    summary = find_landmarks(work, options.jobs, options.retry_failed, options.timeout, options.scheduler)
    done = (
        ", ".join(f"{n:,} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(
        f"landmarks: {done}; {summary.skipped:,} done before; "
        f"{counted(summary.frames, 'frame')}{rate} -> {work / 'landmarks'}"
    )
    none = summary.faces - summary.faces_flagged
    print(f"{counted(summary.faces, 'face')}; the mesh doesn't recognise {none:,} of them as faces")
    for line in failure_lines(summary.failures, work, "landmarks"):
        print(line)
    if csv:
        write_failures(summary.failures, csv)
        print(f"{counted(len(summary.failures), 'video')} not ok -> {csv}")
    failed = any(status in FAILED for _, status, _ in summary.failures)
    return Outcome(ExitStatus.SOME_FAILED if failed else ExitStatus.OK, summary)
