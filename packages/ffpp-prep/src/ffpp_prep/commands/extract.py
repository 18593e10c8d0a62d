"""`ffpp-prep extract`: the faces, cut out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.commands.boxes import (
    WITH_ROOT,
    add_detection_arguments,
    add_folder_arguments,
    add_job_arguments,
    add_retry_argument,
    detect,
)
from ffpp_prep.commands.scan import add_scan_arguments, work_folder
from ffpp_prep.errors import ExitStatus

if TYPE_CHECKING:
    from ffpp_prep.one_video.faces import CropSettings
    from ffpp_prep.stages.extract import ExtractSummary

HELP = "cut the faces out -> WORK/faces"
EXAMPLE = "ffpp-prep extract work --jobs 8 --for-training 50"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_folder_arguments(parser)
    add_crop_arguments(parser)
    group = parser.add_argument_group("which videos get crops")
    group.add_argument("--methods", default="", metavar="A,B", help="only these methods, and the originals")
    group.add_argument("--max-gb", type=float, default=0.0, help="stop at about this size, originals first")
    group.add_argument(
        "--include-multiple-faces", action="store_true", help="also videos flagged multiple_faces"
    )
    add_scan_arguments(parser, WITH_ROOT)
    add_detection_arguments(parser, when=WITH_ROOT)
    add_job_arguments(parser)
    add_retry_argument(parser)


def add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what a crop is, and which frames get one."""
    group = parser.add_argument_group("crops")
    group.add_argument(
        "--frames", type=int, default=0, metavar="N", help="only N equally spaced frames a video"
    )
    group.add_argument("--every", type=int, default=1, metavar="K", help="only every K-th frame")
    group.add_argument(
        "--for-training",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="only the frames that so many epochs and the evaluation ask for with dfd-train's default batches "
        "and frame numbers; with others, what is not stored is cut from its video, slower, with the same pixels",
    )
    group.add_argument("--margin", type=float, default=0.3, help="how much larger than the box (%(default)s)")
    group.add_argument(
        "--codec", default="webp", help="webp, jxl, png, qoi, raw (lossless) or jpeg (%(default)s)"
    )
    group.add_argument("--size", type=int, default=0, help="side in pixels; 0 keeps the native size")
    group.add_argument(
        "--border", choices=("clip", "pad"), default="clip", help="beyond the frame's edge (%(default)s)"
    )
    group.add_argument("--min-score", type=float, default=0.0, help="leave out boxes below this score")


def run(options: argparse.Namespace) -> int:
    """Extracts; for a data set, scans and detects first."""
    from ffpp_prep.stages import extract_faces
    from ffpp_prep.stages.extract import Choice

    settings = crop_settings(options)
    methods = tuple(method for method in options.methods.split(",") if method)
    choice = Choice(methods, options.include_multiple_faces, options.max_gb)
    before = detect(options) if options.output else ExitStatus.OK
    work = work_folder(options)
    summary = extract_faces(
        work, settings, choice, options.jobs, options.timeout, options.scheduler, options.retry_failed
    )
    _print(summary, work)
    failed = summary.missing or summary.lost or not summary.planned
    return ExitStatus.SOME_FAILED if failed else before


def crop_settings(options: argparse.Namespace) -> CropSettings:
    """What a crop is, after the options of `add_crop_arguments`."""
    from ffpp_prep.one_video.faces import CropSettings

    return CropSettings(
        codec=options.codec,
        margin=options.margin,
        border=options.border,
        size=options.size,
        min_score=options.min_score,
        every=options.every,
        frames=options.frames,
        for_training=options.for_training,
    )


def _print(summary: ExtractSummary, work: Path) -> None:
    from ffpp_prep.stages.extract import NOT_DETECTED
    from ffpp_prep.work.store import read_videos
    from ffpp_prep.work.usable import usable_lines

    rate = f", {summary.crops / summary.seconds:.0f} crops/s" if summary.crops else ""
    size = f"{summary.bytes / 1e6:.1f} MB"
    print(f"extract: {summary.shards} shards, {summary.crops} crops, {size}{rate} -> {work / 'faces'}")
    if summary.below_threshold:
        print(
            f"  {summary.below_threshold} of {summary.crops} crops below the detector's threshold "
            f"{summary.threshold:g}: probably no face; --min-score {summary.threshold:g} leaves such out"
        )
    for reason, count in summary.left_out.items():
        how = f";  ffpp-prep boxes {work}  detects them, then this again" if reason == NOT_DETECTED else ""
        print(f"  {count} videos left out: {reason}{how}")
    if not summary.planned:
        why = "no face in any video" if set(summary.left_out) == {"no_face"} else "every video is left out"
        print(f"  nothing to cut out: {why};  ffpp-prep status {work}  says more")
    for line in usable_lines(read_videos(work)):
        print(f"  {line}")
    for video_id, count, error in summary.missing:
        print(f"  {count} crops missing of {video_id}: {error}")
    if summary.missing:
        print(f"  to try these again:  ffpp-prep extract {work} --retry-failed, with the same settings")
    for shard, error in summary.lost:
        print(f"  {shard} not written: {error}")
