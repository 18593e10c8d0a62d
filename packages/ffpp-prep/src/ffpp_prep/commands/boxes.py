"""`ffpp-prep boxes`: the faces of every frame."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.commands.scan import add_scan_arguments, work_folder
from ffpp_prep.errors import ExitStatus, UserError
from ffpp_prep.machine import cores

if TYPE_CHECKING:
    from ffpp_prep.detector.workers import Engine
    from ffpp_prep.one_video.boxes import BoxSettings
    from ffpp_prep.stages.boxes import BoxesSummary

HELP = "detect the faces of every frame -> WORK/boxes"
EXAMPLE = "ffpp-prep boxes work --jobs 8    or    ffpp-prep boxes /data/FaceForensics++ -o work --jobs 8"
WITH_ROOT = ", with ROOT -o WORK"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_folder_arguments(parser)
    add_scan_arguments(parser, WITH_ROOT)
    add_detection_arguments(parser, "--every")
    parser.add_argument(
        "--landmarks",
        action="store_true",
        help="then find 468 points of every kept face, as `ffpp-prep landmarks`",
    )
    add_job_arguments(parser)
    add_retry_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Detects, and prints what failed and why; for a data set, scans first."""
    from ffpp_prep.commands import landmarks

    status = detect(options)
    if not options.landmarks:
        return status
    return max(status, landmarks.find(work_folder(options), options))


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds WORK, or ROOT -o WORK."""
    parser.add_argument(
        "folder", type=Path, metavar="WORK|ROOT", help="a work folder; with -o a data set to do all steps for"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="WORK", help="work folder for the data set ROOT")


def add_detection_arguments(parser: argparse.ArgumentParser, *every: str, when: str = "") -> None:
    """Adds what `extract ROOT -o WORK` takes as well; `every`: further names of --detect-every; `when` they count."""
    group = parser.add_argument_group(f"detection{when}")
    group.add_argument(
        "--detector",
        choices=("ssd", "blazeface"),
        default="ssd",
        help="ssd is the thesis's; blazeface takes a fifth of its time, see docs/detectors.md (%(default)s)",
    )
    group.add_argument(
        "--engine", choices=("auto", "litert", "tensorflow"), default="auto", help="(%(default)s)"
    )
    group.add_argument(
        "--frozen-graph", type=Path, metavar="PB", help="run this frozen_inference_graph_face.pb"
    )
    group.add_argument("--threads", type=int, default=1, help="of the engine, in each job (%(default)s)")
    group.add_argument(
        "--gpus",
        type=int,
        metavar="N",
        help="processes, one a GPU, in place of --jobs (default: all GPUs that TensorFlow sees; 0: none)",
    )
    group.add_argument(
        "--decode-threads",
        type=int,
        metavar="N",
        help="in each process, feeding its one engine (default: 1; with GPUs their share of the cores)",
    )
    group.add_argument(
        "--threshold", type=float, default=0.45, help="score above which a further face is kept (%(default)s)"
    )
    group.add_argument(
        *every,
        "--detect-every",
        dest="detect_every",
        type=int,
        default=1,
        metavar="K",
        help="detect every K-th frame, interpolate between",
    )
    group.add_argument(
        "--decoder", choices=("pyav", "decord"), default="pyav", help="what reads the videos (%(default)s)"
    )
    group.add_argument(
        "--boxes-from-original",
        action="store_true",
        help="a fake takes its original's boxes where their frames match, as DFDC's fakes do anyway",
    )


def add_retry_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --retry-failed."""
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed before")


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how the work is shared out."""
    group = parser.add_argument_group("work")
    group.add_argument("--jobs", type=int, default=cores(), help="worker processes (%(default)s)")
    group.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="of a Dask cluster (tcp://host:port), whose workers then do the work; see docs/cluster.md",
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        default=300.0,
        metavar="S",
        help="stop a worker that made no progress for so long (%(default)s)",
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return value


def detect(options: argparse.Namespace) -> int:
    """Runs the stage with the options of `add_detection_arguments`, on WORK or ROOT -o WORK."""
    from ffpp_prep.stages import detect_boxes

    settings = box_settings(options)  # refused before anything is scanned
    work = work_folder(options)
    summary = detect_boxes(
        work,
        settings,
        engine(options),
        options.jobs,
        options.retry_failed,
        options.timeout,
        options.scheduler,
    )
    _print(summary, work)
    failed = any(status not in ("ok", "no_face") for _, status, _ in summary.failures)
    return ExitStatus.SOME_FAILED if failed else ExitStatus.OK


def box_settings(options: argparse.Namespace) -> BoxSettings:
    """What to keep, after the options of `add_detection_arguments`."""
    from ffpp_prep.one_video.boxes import BoxSettings

    try:
        return BoxSettings(
            threshold=options.threshold,
            every=options.detect_every,
            decoder=options.decoder,
            from_original=options.boxes_from_original,
            detector=options.detector,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def engine(options: argparse.Namespace) -> Engine:
    """Which detector runs, after the same options."""
    from ffpp_prep.detector.workers import Engine

    graph = options.frozen_graph and options.frozen_graph.resolve()
    return Engine(options.engine, options.threads, graph, options.gpus, options.decode_threads)


def _print(summary: BoxesSummary, work: Path) -> None:
    from ffpp_prep.work.failures import failure_lines

    done = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(f"boxes: {done}; {summary.skipped} done before; {summary.frames} frames{rate} -> {work / 'boxes'}")
    for line in failure_lines(summary.failures, work):
        print(line)
