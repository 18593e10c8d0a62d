"""`ffpp-prep extract`: the faces, cut out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_retry, add_sharing
from ffpp_prep.commands.boxes import WITH_ROOT, add_detection_arguments, add_folder_arguments, detect, scanned
from ffpp_prep.commands.scan import add_scan_arguments, work_folder
from ffpp_prep.errors import ExitStatus
from ffpp_prep.settings import Choice, CropSettings
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    from ffpp_prep.stages.extract import ExtractSummary

HELP = "cut the faces out and write them to WORK/faces"
EXAMPLE = "ffpp-prep extract work --jobs 8 --for-training 50"


def add_arguments(parser: Parser) -> None:
    add_folder_arguments(parser)
    add_flags(parser.add_argument_group("crops"), CropSettings)
    add_flags(parser.add_argument_group("which videos get crops"), Choice)
    add_scan_arguments(parser, WITH_ROOT)
    add_detection_arguments(parser, when=WITH_ROOT)
    add_sharing(parser)
    add_retry(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say how many crops of which videos are left, and write nothing",
    )


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.stages import extract_faces

    settings, choice = from_flags(CropSettings, options), from_flags(Choice, options)
    if options.dry_run:
        return _left(scanned(options), settings, choice, options.retry_failed)
    before = detect(options).status if options.out else ExitStatus.OK
    work = work_folder(options)
    summary = extract_faces(
        work, settings, choice, options.jobs, options.timeout, options.scheduler, options.retry_failed
    )
    _print(summary, work)
    failed = summary.missing or summary.lost or not summary.planned
    return Outcome(ExitStatus.SOME_FAILED if failed else before, summary)


def _left(work: Path, settings: CropSettings, choice: Choice, retry_failed: bool) -> Outcome:
    from ffpp_prep.stages.crop_plan import plan_crops

    plan = plan_crops(work, settings, choice)
    left = [plan.shards[number] for number in plan.left(retry_failed)]
    pieces = [piece for shard in left for piece in shard]
    crops, videos = (
        sum(piece.stop - piece.first for piece in pieces),
        len({piece.video_id for piece in pieces}),
    )
    print(
        f"extract: {counted(len(left), 'shard')}, {counted(crops, 'crop')} of {counted(videos, 'video')} left; "
        "nothing was written"
    )
    _print_left_out(plan.left_out, work)
    return Outcome(
        ExitStatus.OK, {"shards": len(left), "crops": crops, "videos": videos, "left_out": plan.left_out}
    )


def _print_left_out(left_out: dict[str, int], work: Path) -> None:
    from ffpp_prep.stages.crop_plan import NOT_DETECTED

    for reason, count in left_out.items():
        how = (
            f";  ffpp-prep boxes {typed(work)}  detects them, then this again"
            if reason == NOT_DETECTED
            else ""
        )
        print(f"  {counted(count, 'video')} left out: {reason}{how}")


def _print(summary: ExtractSummary, work: Path) -> None:
    from ffpp_prep.work.store import read_videos
    from ffpp_prep.work.usable import usable_lines

    rate = f", {summary.crops / summary.seconds:.0f} crops/s" if summary.crops else ""
    written = f"{counted(summary.shards, 'shard')}, {counted(summary.crops, 'crop')}"
    print(f"extract: {written}, {summary.bytes / 1e6:.1f} MB{rate} -> {work / 'faces'}")
    if summary.below_threshold:
        print(
            f"  {summary.below_threshold:,} of {counted(summary.crops, 'crop')} below the detector's threshold "
            f"{summary.threshold:g}: probably no face; --min-score {summary.threshold:g} leaves them out"
        )
    _print_left_out(summary.left_out, work)
    if not summary.planned:
        why = "no face in any video" if set(summary.left_out) == {"no_face"} else "every video is left out"
        print(f"  nothing to cut out: {why};  ffpp-prep status {typed(work)}  says more")
    for line in usable_lines(read_videos(work)):
        print(f"  {line}")
    for video_id, count, error in summary.missing:
        print(f"  {counted(count, 'crop')} missing of {video_id}: {error}")
    if summary.missing:
        print(
            f"  to try these again:  ffpp-prep extract {typed(work)} --retry-failed, with the same settings"
        )
    for shard, error in summary.lost:
        print(f"  {shard} not written: {error}")
