"""`dfd-train evaluate`: a split's predictions and the table per method."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import (
    add_device,
    add_loading,
    add_precision,
    add_trust,
    positive,
    threshold,
)
from ffpp_prep.command_line.program import Outcome

HELP = "score a split; write the predictions and print the table per method"
EXAMPLE = "dfd-train evaluate runs/v1 --split test --threshold validation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="the folders of one or several runs"
    )
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="all: every video, even of a set without splits",
    )
    parser.add_argument(
        "--data", type=Path, metavar="WORK", help="another prepared data set than the run's own"
    )
    parser.add_argument("--frames", type=positive, metavar="N", help="equally spaced frames per video")
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best")
    parser.add_argument("--aggregation", choices=("mean", "median", "max"), default="mean")
    parser.add_argument(
        "--threshold",
        type=threshold,
        default=0.5,
        metavar="P",
        help="the score above which a video is called fake; validation: the best one on validation videos",
    )
    parser.add_argument(
        "--protocol",
        choices=("deepfakebench",),
        help="score and pool as the benchmark does, and show the difference",
    )
    parser.add_argument(
        "--multiple-faces",
        choices=("drop", "keep"),
        help="leave out videos with several faces, or keep their best face",
    )
    add_device(parser)
    add_precision(parser)
    add_loading(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.runs.folder import RunFolder

    for folder in options.runs:
        RunFolder(folder).read_config()  # before any is scored: a mistyped name is said at once
    found = []
    for folder in options.runs:
        if len(options.runs) > 1:
            print(f"{folder}\n")
        found.append(_evaluate(folder, options))
    return Outcome(0, found)


def _evaluate(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """The table by method stands at the end, where a terminal shows it, and where the predictions are."""
    from dfd_train.calibration.kept import current_calibration
    from dfd_train.engine.evaluate import EvaluationRequest, deepfakebench, evaluate, validation_threshold
    from dfd_train.engine.validation import validate_models
    from dfd_train.report.measures import Measures
    from dfd_train.report.operating import deployed_tables, operating_table
    from dfd_train.report.protocol import protocol_table
    from dfd_train.report.tables import (
        Coverage,
        evaluation_table,
        methods_table,
        summary_table,
        warning,
    )

    request = EvaluationRequest(
        split=options.split,
        data=options.data,
        frames=options.frames,
        checkpoint=options.checkpoint,
        device=options.device,
        batch_size=options.batch_size,
        workers=options.workers,
        multiple_faces=options.multiple_faces,
        trust=tuple(options.trust),
        precision=options.precision,
    )
    if options.precision == "bf16":
        validate_models([folder], options.device, options.trust, options.precision)
    if options.protocol:
        request = deepfakebench(request)
    threshold = options.threshold
    if threshold == "validation":
        threshold = validation_threshold(folder, options.checkpoint, options.aggregation)
    result = evaluate(folder, request)
    predictions, demonstration = result.predictions, result.demonstration
    coverage = Coverage.of(result.videos, predictions)
    measures = Measures(predictions, options.aggregation, threshold)
    if (predictions["label"] == 1).any():
        print(methods_table(measures, demonstration).to_text())
    known = current_calibration(folder) if options.checkpoint == "best" else None
    print(operating_table(predictions, options.aggregation, demonstration, known).to_text())
    for table in deployed_tables(predictions, known, demonstration) if known else ():
        print(table.to_text())
    print(summary_table(measures, demonstration).to_text())
    print(evaluation_table(measures, coverage, demonstration).to_text())
    print(result.checkpoint)
    if result.overlap is not None:
        print(result.overlap.line())
    if options.protocol:
        print("\n" + protocol_table(predictions, warning(demonstration)).to_text())
    print(f"predictions: {result.path}")
    return {"run": folder, "split": options.split, "predictions": result.path, "measures": measures.summary()}
