"""`ffpp-prep boxes`: the faces of every frame."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_out, add_retry, add_sharing, add_work, work_of
from ffpp_prep.commands.scan import add_scan_arguments, work_folder
from ffpp_prep.errors import ExitStatus, UserError
from ffpp_prep.settings import BoxSettings, Engine
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    from ffpp_prep.stages.boxes import BoxesSummary

HELP = "find the faces in every frame and write them to WORK/boxes"
EXAMPLE = "ffpp-prep boxes work --jobs 8    or    ffpp-prep boxes /data/FaceForensics++ -o work --jobs 8"
WITH_ROOT = ", with ROOT -o WORK"


def add_arguments(parser: Parser) -> None:
    add_folder_arguments(parser)
    add_scan_arguments(parser, WITH_ROOT)
    add_detection_arguments(parser)
    parser.add_old_name("--every", "--detect-every")
    parser.add_argument(
        "--landmarks",
        action="store_true",
        help="then find 468 points of every kept face, as `ffpp-prep landmarks` does",
    )
    add_sharing(parser)
    add_retry(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many videos are left, and write nothing"
    )


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.commands import landmarks

    if options.dry_run:
        return _left(options)

    found = detect(options)
    if not options.landmarks:
        return found
    points = landmarks.find(work_folder(options), options)
    return Outcome(max(found.status, points.status), {"boxes": found.result, "landmarks": points.result})


def _left(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.stages.boxes import passed_over
    from ffpp_prep.work.store import BoxStore, read_scan

    work = scanned(options)
    videos = set(read_scan(work)["video_id"])
    left = len(videos - passed_over(work, BoxStore(work), options.retry_failed))
    print(f"boxes: {left:,} of {counted(len(videos), 'video')} left; nothing was written")
    return Outcome(ExitStatus.OK, {"videos": len(videos), "left": left})


def scanned(options: argparse.Namespace) -> Path:
    """Returns the work folder of a dry run, which scans nothing. Raises: UserError where ROOT isn't scanned yet."""
    if options.out is not None and not (options.out / "videos.parquet").is_file():
        raise UserError(
            f"{options.out} isn't scanned yet: ffpp-prep scan ROOT -o {typed(options.out)} --dry-run lists its videos"
        )
    return Path(options.out or work_of(options))


def add_folder_arguments(parser: Parser) -> None:
    """Adds WORK, or ROOT -o WORK."""
    add_work(parser, "the work folder; with -o, the data set for which all steps are done")
    add_out(parser, "WORK", "the work folder of the data set that is given")


def add_detection_arguments(parser: Parser, when: str = "") -> None:
    """Adds what `extract ROOT -o WORK` takes as well; `when` they count."""
    group = parser.add_argument_group(f"detection{when}")
    add_flags(group, Engine)
    add_flags(group, BoxSettings)


def detect(options: argparse.Namespace) -> Outcome:
    """Runs the stage with the options of `add_detection_arguments`, on WORK or ROOT -o WORK."""
    from ffpp_prep.stages import detect_boxes

    settings, engine = from_flags(BoxSettings, options), from_flags(Engine, options)  # refused before a scan
    work = work_folder(options)
    summary = detect_boxes(
        work,
        settings,
        engine,
        options.jobs,
        options.retry_failed,
        options.timeout,
        options.scheduler,
    )
    _print(summary, work)
    failed = any(status not in ("ok", "no_face") for _, status, _ in summary.failures)
    return Outcome(ExitStatus.SOME_FAILED if failed else ExitStatus.OK, summary)


def _print(summary: BoxesSummary, work: Path) -> None:
    from ffpp_prep.work.failures import failure_lines

    done = (
        ", ".join(f"{n:,} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(
        f"boxes: {done}; {summary.skipped:,} done before; {counted(summary.frames, 'frame')}{rate} -> {work / 'boxes'}"
    )
    for line in failure_lines(summary.failures, work):
        print(line)
