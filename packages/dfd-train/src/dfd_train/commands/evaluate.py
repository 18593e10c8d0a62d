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
from dfd_train.errors import UserError
from dfd_train.runs.seeds import each_run
from dfd_train.suite.files import SUITES, file_name, find_suite, suite_names
from ffpp_prep.command_line.program import Outcome

HELP = "score a split; write the predictions and print the table per method"
EXAMPLE = "dfd-train evaluate runs/v1 --split test --threshold validation"
OF_SUITE = ("split", "data", "frames", "aggregation", "threshold", "protocol", "multiple_faces")
"""what a suite says itself"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="runs' folders, or folders of `run --seeds`"
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
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        default="best",
        help="of the best epoch on validation (default), or of the last one",
    )
    parser.add_argument(
        "--aggregation",
        choices=("mean", "median", "max", "confident"),
        help="how frames' scores become a video's (default: mean; a published detector's as its authors have it)",
    )
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
        choices=("drop", "keep", "touched"),
        help="leave out videos with several faces, keep their best face, or the one that check-fakes found touched",
    )
    add_device(parser)
    add_precision(parser)
    add_loading(parser)
    add_trust(parser)
    group = parser.add_argument_group("many data sets in one table")
    group.add_argument(
        "--suite",
        type=Path,
        metavar="FILE",
        help="a TOML file of sets and protocols, or the name of one that comes with the package: "
        f"{', '.join(suite_names())}",
    )
    group.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="folder that holds the suite's prepared sets (default: the suite file's folder; for built-in suites, the "
        "current directory)",
    )
    parser.set_defaults(unset={name: parser.get_default(name) for name in OF_SUITE})


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.runs.folder import RunFolder

    options.runs = each_run(options.runs)
    for folder in options.runs:
        RunFolder(folder).read_config()  # before any is scored: a mistyped name is said at once
    if options.suite is not None:
        return _run_suite(options)
    if options.root is not None:
        raise UserError(f"--root {options.root}: is for --suite")
    found = []
    for folder in options.runs:
        if len(options.runs) > 1:
            print(f"{folder}\n")
        found.append(_evaluate(folder, options))
    return Outcome(0, found)


def _run_suite(options: argparse.Namespace) -> Outcome:
    """Writes a page and a table of every run; returns 1 where a set that is there could not be scored."""
    from dfd_train.engine.validation import validate_models
    from dfd_train.suite.plan import read_suite
    from dfd_train.suite.score import SuiteRequest, score_suite
    from dfd_train.suite.show import suite_record, write_suite

    given = [name for name in OF_SUITE if getattr(options, name) != options.unset[name]]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(
            f"--suite {options.suite}: the suite's file says what {flags} would say; give one of them"
        )
    file = find_suite(options.suite)
    suite, name = read_suite(file), file_name(file.stem)
    root = options.root or (Path() if file.parent == SUITES else file.parent)
    request = SuiteRequest(
        options.checkpoint,
        options.device,
        options.batch_size,
        options.workers,
        tuple(options.trust),
        options.precision,
    )
    if options.precision == "bf16":
        validate_models(options.runs, options.device, options.trust, options.precision)
    found, failed = [], False
    for folder in options.runs:
        result = score_suite(folder, suite, name, root, request)
        page, table = write_suite(result, folder / "suites" / name)
        print(table.to_text())
        print(page)
        found.append({"page": page, **suite_record(result)})
        failed = failed or any(not one.missing for one in result.left_out)
    return Outcome(int(failed), found)


def _evaluate(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """Scores and prints: at the end the table by method, and where the predictions are."""
    from dfd_train.calibration.kept import current_calibration
    from dfd_train.engine.evaluate import EvaluationRequest, deepfakebench, evaluate, validation_threshold
    from dfd_train.engine.validation import validate_models
    from dfd_train.report.by_set import sets_table
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
    from dfd_train.runs.folder import RunFolder

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
    aggregation = options.aggregation or RunFolder(folder).pooling
    threshold = options.threshold
    if threshold == "validation":
        threshold = validation_threshold(folder, options.checkpoint, aggregation)
    result = evaluate(folder, request)
    predictions, demonstration = result.predictions, result.demonstration
    coverage = Coverage.of(result.videos, predictions)
    measures = Measures(predictions, aggregation, threshold)
    if (predictions["label"] == 1).any():
        print(methods_table(measures, demonstration).to_text())
    known = current_calibration(folder) if options.checkpoint == "best" else None
    print(operating_table(predictions, aggregation, demonstration, known).to_text())
    for table in deployed_tables(predictions, known, demonstration) if known else ():
        print(table.to_text())
    print(summary_table(measures, demonstration).to_text())
    if of_sets := sets_table(measures, demonstration):
        print(of_sets.to_text())
    print(evaluation_table(measures, coverage, demonstration).to_text())
    print(result.checkpoint)
    if result.overlap is not None:
        print(result.overlap.line())
    if options.protocol:
        print("\n" + protocol_table(predictions, warning(demonstration), aggregation).to_text())
    print(f"predictions: {result.path}")
    return {"run": folder, "split": options.split, "predictions": result.path, "measures": measures.summary()}
