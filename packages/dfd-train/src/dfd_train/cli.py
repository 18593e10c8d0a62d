"""The command `dfd-train`: run, preview-transforms, evaluate, report, compare.

Exit status: 0 done, 2 a mistake in the command, its files or its settings (one line says which), 3 training cannot go
on, 130 interrupted with a checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dfd_train import __version__
from dfd_train.config import RunConfig, Setting, build_config, find_config, read_config, settings
from dfd_train.errors import Interrupted, TrainingError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    # before torch loads: OpenMP's waiting threads must not spin away the cores of the loader processes
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("dfd-train: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"dfd-train: {_one_line(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        # a loader process that dies raises wherever the training process happens to be
        if not isinstance(error, TrainingError) and "DataLoader worker" not in str(error):
            raise
        print(f"dfd-train: {_one_line(error)}", file=sys.stderr)
        return 3


def _run(options: argparse.Namespace) -> int:
    config = _run_config(options)
    from dfd_train.engine.train import train

    try:
        train(config, options.out)
    except Interrupted:
        print(
            f"dfd-train: stopped; the same command goes on from {options.out}/checkpoints/last.pt",
            file=sys.stderr,
        )
        return 130
    return 0


def _preview(options: argparse.Namespace) -> int:
    config = _run_config(options)
    from dfd_train.data.prepared import load_prepared
    from dfd_train.data.preview import write_preview
    from dfd_train.data.selection import select_videos
    from dfd_train.models import build_detector

    prepared = load_prepared(Path(config.data.work))
    videos = select_videos(prepared.videos, "train", multiple_faces=config.data.multiple_faces).videos
    spec = build_detector(config.model).spec
    print(write_preview(config, prepared, videos, spec, options.out, options.rows))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from dfd_train.engine.evaluate import Request, deepfakebench, evaluate, validation_threshold
    from dfd_train.report.tables import Coverage, evaluation_table, protocol_table

    request = Request(
        split=options.split,
        data=options.data,
        frames=options.frames,
        checkpoint=options.checkpoint,
        device=options.device,
        batch_size=options.batch_size,
        workers=options.workers,
        multiple_faces=options.multiple_faces,
    )
    if options.protocol:
        request = deepfakebench(request)
    threshold = options.threshold
    if threshold == "validation":
        threshold = validation_threshold(options.run, options.checkpoint, options.aggregation)
    result = evaluate(options.run, request)
    coverage = Coverage.of(result.videos, result.predictions)
    table = evaluation_table(
        result.predictions, coverage, options.aggregation, threshold, demonstration=result.demonstration
    )
    print(table.to_text())
    if result.shared_identities is not None:
        print(f"Identities that also trained the model: {result.shared_identities}.")
    if options.protocol:
        print(protocol_table(result.predictions, result.demonstration).to_text())
    return 0


def _compare(options: argparse.Namespace) -> int:
    from dfd_train.compare import compare_runs

    for path in compare_runs(options.runs, options.out, options.reference)[:1]:
        print(path)
    return 0


def _report(options: argparse.Namespace) -> int:
    from dfd_train.report.page import write_report

    print(write_report(options.run))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dfd-train", description="Train and evaluate deepfake detectors.")
    parser.add_argument("--version", action="version", version=f"dfd-train {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_preview(commands)
    _add_evaluate(commands)
    report = commands.add_parser("report", help="write RUN/report.html", allow_abbrev=False)
    report.add_argument("run", type=Path, metavar="RUN")
    report.set_defaults(command=_report)
    compare = commands.add_parser("compare", help="several runs side by side", allow_abbrev=False)
    compare.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    compare.add_argument("--out", type=Path, default=Path("comparison"), metavar="DIR", help="where to write")
    compare.add_argument("--reference", choices=("thesis",), help="the thesis's tables beside the runs'")
    compare.set_defaults(command=_compare)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="train a model, or go on where it stopped",
        allow_abbrev=False,
        usage="dfd-train run --data WORK --model NAME --out RUN [--config FILE] [--set SECTION.FIELD=VALUE] [settings]",
        description="Train a model on a prepared data set. The same command goes on after a stop.",
        epilog="Settings: later ones win, in the order --config, --set, flags.",
    )
    run.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    _add_settings(run)
    run.set_defaults(command=_run)


def _add_preview(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    preview = commands.add_parser(
        "preview-transforms",
        help="training crops before and after augmentation, as a picture",
        allow_abbrev=False,
        usage="dfd-train preview-transforms --data WORK --out FILE.png [--rows N] [--config FILE] [settings]",
    )
    preview.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the picture")
    preview.add_argument("--rows", type=_positive, default=6, metavar="N", help="videos to show (default: 6)")
    _add_settings(preview)
    preview.set_defaults(command=_preview)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file of settings, or the name of a preset of the thesis",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="one setting, as often as you like",
    )
    group = parser.add_argument_group("settings")
    for setting in settings():
        _add_setting(group, setting)


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    help_text = f"{setting.description} (default: {_shown(setting.default)}; {setting.name})".replace(
        "%", "%%"
    )
    if isinstance(setting.default, bool):
        action = argparse.BooleanOptionalAction
        group.add_argument(_flag(setting), dest=setting.name, action=action, default=None, help=help_text)
    else:
        group.add_argument(_flag(setting), dest=setting.name, metavar="VALUE", help=help_text)


def _flag(setting: Setting) -> str:
    """`--epochs` for train.epochs; `--model` and `--data` for what a section is about."""
    section, field = setting.name.split(".")
    if field in ("name", "work"):
        return f"--{section}"
    if field in ("arguments", "on"):
        return f"--{section}-{field}"
    return f"--{field.replace('_', '-')}"


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="score a split: predictions and the table per method", allow_abbrev=False
    )
    evaluate.add_argument("run", type=Path, metavar="RUN")
    evaluate.add_argument("--split", choices=("train", "val", "test"), default="test")
    evaluate.add_argument(
        "--data", type=Path, metavar="WORK", help="another prepared data set than the run's own"
    )
    evaluate.add_argument("--frames", type=_positive, metavar="N", help="equally spaced frames a video")
    evaluate.add_argument("--checkpoint", choices=("best", "last"), default="best")
    evaluate.add_argument("--aggregation", choices=("mean", "median", "max"), default="mean")
    evaluate.add_argument(
        "--threshold",
        type=_threshold,
        default=0.5,
        metavar="P",
        help="probability above which a video is fake; validation: the best one there",
    )
    evaluate.add_argument(
        "--protocol",
        choices=("deepfakebench",),
        help="score and pool as the benchmark does, and show the difference",
    )
    evaluate.add_argument("--multiple-faces", choices=("drop", "keep"), help="videos with several faces")
    evaluate.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    evaluate.add_argument("--batch-size", type=_positive, metavar="N")
    evaluate.add_argument("--workers", type=int, metavar="N", help="loader processes")
    evaluate.set_defaults(command=_evaluate)


def _run_config(options: argparse.Namespace) -> RunConfig:
    """The configuration of a command; with nothing but --out, that of the run which is there."""
    overrides = [_split_setting(text) for text in options.set]
    given = vars(options)
    overrides += [(s.name, _text(given[s.name])) for s in settings() if given[s.name] is not None]
    saved = options.out / "config.toml"
    if not overrides and options.config is None and saved.is_file():
        return build_config(read_config(saved))
    return build_config(read_config(find_config(options.config)) if options.config else {}, overrides)


def _split_setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set {text!r}: write section.field=value, for example --set train.epochs=10")
    return name.strip(), value.strip()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(default: object) -> str:
    if default is None or default in ("", (), {}):
        return "unset"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _threshold(text: str) -> float | str:
    if text == "validation":
        return text
    if not 0.0 <= float(text) <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is neither a probability nor validation")
    return float(text)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
