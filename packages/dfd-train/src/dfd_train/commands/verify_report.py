"""`dfd-train verify-report`: is a report as it was written, and does its file score the same again?"""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_device, add_other_models, add_trust
from dfd_train.errors import UserError
from ffpp_prep.command_line.program import Outcome

HELP = "check a report of predict: its hashes, and by scoring again"
EXAMPLE = "dfd-train verify-report predictions/holiday.mp4 --file holiday.mp4 --again runs/v1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        f"{parser.epilog}\nhere also: 1 something is not as the report says, or it holds no hashes"
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="a file's folder of predict, a folder of such folders, or what `serve --out` kept",
    )
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the file that was scored: compared by its SHA-256"
    )
    parser.add_argument(
        "--again",
        type=Path,
        metavar="RUN_OR_WEIGHTS",
        help="score --file again with this model and the report's settings, and compare every number; needs --file",
    )
    add_other_models(parser)
    add_device(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.predict.verify import Again, check_hashes, precision_of, reports_in, score_again

    folders = reports_in(options.folder)
    if options.again is None and options.others:
        raise UserError("--with goes with --again")
    if options.again is not None and options.file is None:
        raise UserError(
            "--again needs --file FILE, the file that was scored: a report does not record where that file is"
        )
    if options.file is not None and len(folders) > 1:
        raise UserError(
            f"--file goes with one report, {options.folder} holds {len(folders)}: name its folder"
        )
    checks = [check_hashes(folder, options.file) for folder in folders]
    for check in checks:
        print(f"{check.report}: {check.said}")
    if options.again is not None and checks[0].sound:
        from dfd_train.engine.validation import validate_models
        from dfd_train.predict.ensemble import read_together
        from dfd_train.predict.loading import load_scorer

        models = (options.again, *options.others)
        precision = precision_of(folders[0])
        validate_models(models, options.device, options.trust, precision, for_speed=False)
        scorers = [load_scorer(model, options.device, options.trust, precision) for model in models]
        checks.append(score_again(folders[0], Again(options.file, scorers, read_together(scorers))))
        print(f"{checks[-1].report}: {checks[-1].said}")
    return Outcome(0 if all(check.sound for check in checks) else 1, checks)
