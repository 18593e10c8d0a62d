"""`dfd-train export`: a trained run as an ONNX file or as safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_train.commands.arguments import add_trust
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.text.units import counted

HELP = "write a trained run as an ONNX file or as safetensors, compared on real crops"
EXAMPLE = "dfd-train export runs/v1 --out v1.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="FILE.onnx|DIR",
        help="an ONNX file, or a folder of safetensors",
    )
    parser.add_argument(
        "--data", type=Path, metavar="WORK", help="a prepared data set to compare on instead of the run's own"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="compute in 8-bit integers, for processors: faster and smaller; prints what it changes on validation",
    )
    add_trust(parser)


def run(options: argparse.Namespace) -> Outcome:
    from dfd_train.export.run import export_int8, export_run
    from dfd_train.runs.folder import DEMONSTRATION

    write = export_int8 if options.int8 else export_run
    export = write(options.folder, options.out, options.data, options.trust)
    card, check = export.card, export.check
    calibration = f"threshold {card.threshold:.3f}, temperature {card.temperature:.2f} from validation"
    print(f"On {counted(export.crops, 'crop')} the logits deviate by at most {export.deviation:.1e}.")
    if check is not None:
        print(f"{check.sentence()}.")
    print(
        "No threshold: nothing to calibrate on."
        if card.calibrated_on == "nothing"
        else f"Card: {calibration}."
    )
    if card.demonstration:
        print(f"This is a {DEMONSTRATION}.")
    print(export.path)
    numbers = {"crops": export.crops, "deviation": export.deviation}
    measured = {"auc": check.auc, "auc_fp32": check.auc_before, "changed": check.changed} if check else {}
    return Outcome(0, {"file": export.path, "threshold": card.threshold, **numbers, **measured})
