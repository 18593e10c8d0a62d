"""The `ffpp-prep` command: arguments in, a stage called, a few lines out."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffpp_prep import __version__
from ffpp_prep.errors import ExitStatus, FatalError, UsageError

if TYPE_CHECKING:
    from ffpp_prep.stages.boxes import BoxesSummary
    from ffpp_prep.stages.extract import ExtractSummary

EXIT_STATUSES = "exit status: 0 clean, 1 some videos failed, 2 usage, 3 fatal (a full disk), 130 interrupted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; faults a user can cause are one line on standard error."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UsageError as error:
        return _fail(error, ExitStatus.USAGE)
    except FatalError as error:
        return _fail(error, ExitStatus.FATAL)
    except PermissionError as error:
        return _fail(f"{error.filename}: {error.strerror}", ExitStatus.USAGE)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on", ExitStatus.INTERRUPTED)


def _fail(error: object, status: ExitStatus) -> int:
    print(f"ffpp-prep: {error}", file=sys.stderr)
    return int(status)


# --- commands -------------------------------------------------------------------------------------------------


def _sample(options: argparse.Namespace) -> int:
    from ffpp_prep.sample import write_sample

    print(write_sample(options.folder, seed=options.seed))
    return ExitStatus.OK


def _scan(options: argparse.Namespace) -> int:
    from ffpp_prep.splits import SplitSettings
    from ffpp_prep.stages import scan

    settings = SplitSettings(options.splits, options.dfd_splits, options.seed)
    summary = scan(options.root, options.output, options.layout, settings)
    for note in summary.notes:
        print(f"note: {note}")
    for (method, split), count in sorted(summary.counts.items()):
        print(f"{count:7} {method}, {split}")
    print(f"{summary.videos} videos -> {options.output / 'videos.parquet'}")
    return ExitStatus.OK


def _boxes(options: argparse.Namespace) -> int:
    work = _work(options)
    return _detect(options, work)


def _detect(options: argparse.Namespace, work: Path) -> int:
    from ffpp_prep.boxes import BoxSettings
    from ffpp_prep.stages import detect_boxes
    from ffpp_prep.stages.boxes import Engine

    try:
        settings = BoxSettings(threshold=options.threshold, every=options.detect_every)
    except ValueError as error:
        raise UsageError(str(error)) from error
    engine = Engine(options.engine, options.threads, options.frozen_graph)
    summary = detect_boxes(work, settings, engine, options.jobs, options.retry_failed, options.timeout)
    _print_boxes(summary, work)
    return (
        ExitStatus.SOME_FAILED
        if any(s not in ("ok", "no_face") for _, s, _ in summary.failures)
        else ExitStatus.OK
    )


def _print_boxes(summary: BoxesSummary, work: Path) -> None:
    done = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(f"boxes: {done}; {summary.skipped} done before; {summary.frames} frames{rate} -> {work / 'boxes'}")
    for video_id, status, error in summary.failures:
        print(f"  {status:13} {video_id}: {error}")


def _extract(options: argparse.Namespace) -> int:
    from ffpp_prep.faces import CropSettings
    from ffpp_prep.stages import extract_faces
    from ffpp_prep.stages.extract import Choice

    settings = CropSettings(
        codec=options.codec,
        margin=options.margin,
        border=options.border,
        size=options.size,
        min_score=options.min_score,
        every=options.every,
        frames=options.frames,
        for_training=options.for_training,
    )
    methods = tuple(m for m in (options.methods or "").split(",") if m)
    choice = Choice(methods, options.include_multiple_faces, options.max_gb)
    work = _work(options)
    before = _detect(options, work) if options.output else ExitStatus.OK
    summary = extract_faces(work, settings, choice, options.jobs, options.timeout)
    _print_extract(summary, work)
    return ExitStatus.SOME_FAILED if summary.missing or summary.lost else before


def _print_extract(summary: ExtractSummary, work: Path) -> None:
    rate = f", {summary.crops / summary.seconds:.0f} crops/s" if summary.crops else ""
    print(
        f"extract: {summary.shards} shards, {summary.crops} crops, {summary.bytes / 1e6:.1f} MB{rate} -> {work / 'faces'}"
    )
    for reason, count in summary.left_out.items():
        print(f"  {count} videos left out: {reason}")
    for video_id, count, error in summary.missing:
        print(f"  {count} crops missing of {video_id}: {error}")
    for shard, error in summary.lost:
        print(f"  {shard} not written: {error}")


def _status(options: argparse.Namespace) -> int:
    from ffpp_prep.report import status_text

    print(status_text(options.work))
    return ExitStatus.OK


def _work(options: argparse.Namespace) -> Path:
    """The work folder; with `-o` the positional argument is a data set, which is scanned first."""
    if options.output is None:
        return Path(options.folder)
    from ffpp_prep.splits import SplitSettings
    from ffpp_prep.stages import scan

    if not (options.output / "videos.parquet").is_file():
        settings = SplitSettings(options.splits, options.dfd_splits, options.seed)
        summary = scan(options.folder, options.output, options.layout, settings)
        for note in summary.notes:
            print(f"note: {note}")
    return Path(options.output)


# --- arguments ------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ffpp-prep",
        description="From a data set of videos to face boxes (Parquet) and face crops (HDF5).",
        epilog=EXIT_STATUSES,
    )
    parser.add_argument("--version", action="version", version=f"ffpp-prep {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    sample = _command(
        commands,
        "sample",
        _sample,
        "write a small FF++-shaped data set from pictures that packages ship",
        "ffpp-prep sample demo-data",
    )
    sample.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    sample.add_argument("--seed", type=int, default=0, help="of every random choice (%(default)s)")

    scan = _command(
        commands,
        "scan",
        _scan,
        "list a data set's videos -> WORK/videos.parquet",
        "ffpp-prep scan /data/FaceForensics++ -o work",
    )
    scan.add_argument(
        "root", type=Path, metavar="ROOT", help="the data set's folder, or a CSV or Parquet table"
    )
    scan.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WORK", help="the folder to write to"
    )
    _scan_arguments(scan)

    boxes = _command(
        commands,
        "boxes",
        _boxes,
        "detect the faces of every frame -> WORK/boxes",
        "ffpp-prep boxes work --jobs 8    or    ffpp-prep boxes /data/FaceForensics++ -o work --jobs 8",
    )
    _folder_arguments(boxes)
    _scan_arguments(boxes)
    _boxes_arguments(boxes)
    _jobs_arguments(boxes)

    extract = _command(
        commands,
        "extract",
        _extract,
        "cut the faces out -> WORK/faces",
        "ffpp-prep extract work --jobs 8 --for-training 50",
    )
    _folder_arguments(extract)
    _crop_arguments(extract)
    _scan_arguments(extract)
    _boxes_arguments(extract)
    _jobs_arguments(extract)

    status = _command(
        commands,
        "status",
        _status,
        "what is done, what failed and why, what is left",
        "ffpp-prep status work",
    )
    status.add_argument("work", type=Path, metavar="WORK")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], purpose: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=purpose,
        description=purpose,
        epilog=f"example: {example}\n\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        metavar="WORK|ROOT",
        help="a work folder, or with -o a data set to do all steps for",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="WORK", help="work folder for the data set ROOT")


def _scan_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which videos")
    group.add_argument(
        "--layout", default="auto", help="auto, ffpp, dfdc, celebdf, folder or table (%(default)s)"
    )
    group.add_argument(
        "--splits",
        type=Path,
        metavar="DIR",
        help="train.json, val.json, test.json; default ROOT/splits, else the official ones are fetched",
    )
    group.add_argument(
        "--dfd-splits",
        choices=("actors", "thesis"),
        default="actors",
        help="DeepFakeDetection: actor-disjoint, or the thesis's random split, which leaks (%(default)s)",
    )
    group.add_argument("--seed", type=int, default=0, help="of drawn splits (%(default)s)")


def _boxes_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("detection")
    group.add_argument(
        "--engine", choices=("auto", "litert", "tensorflow"), default="auto", help="(%(default)s)"
    )
    group.add_argument(
        "--frozen-graph", type=Path, metavar="PB", help="run this frozen_inference_graph_face.pb instead"
    )
    group.add_argument("--threads", type=int, default=1, help="of the engine, in each job (%(default)s)")
    group.add_argument(
        "--threshold", type=float, default=0.45, help="score above which a further face is kept (%(default)s)"
    )
    group.add_argument(
        "--detect-every",
        type=int,
        default=1,
        metavar="K",
        help="detect every K-th frame, interpolate between (%(default)s)",
    )
    group.add_argument("--retry-failed", action="store_true", help="try failed videos again")


def _crop_arguments(parser: argparse.ArgumentParser) -> None:
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
        help="only the frames that so many epochs and the evaluation will ask for",
    )
    group.add_argument("--methods", metavar="A,B", help="only these methods, and the originals")
    group.add_argument("--max-gb", type=float, default=0.0, help="stop at about this size, originals first")
    group.add_argument("--margin", type=float, default=0.3, help="how much larger than the box (%(default)s)")
    group.add_argument(
        "--codec", default="jxl", help="jxl, png, qoi, webp, raw (lossless) or jpeg (%(default)s)"
    )
    group.add_argument("--size", type=int, default=0, help="side in pixels; 0 keeps the native size")
    group.add_argument(
        "--border", choices=("clip", "pad"), default="clip", help="beyond the frame's edge (%(default)s)"
    )
    group.add_argument("--min-score", type=float, default=0.0, help="leave out boxes below this score")
    group.add_argument(
        "--include-multiple-faces", action="store_true", help="also videos flagged multiple_faces"
    )


def _jobs_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("work")
    group.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="worker processes (%(default)s)")
    group.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="stop a worker that made no progress for so long (%(default)s)",
    )
