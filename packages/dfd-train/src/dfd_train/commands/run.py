"""`dfd-train run`: training, begun or gone on with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dfd_train.commands.settings import add_settings, run_config
from dfd_train.errors import Interrupted

HELP = "train a model, or continue where it stopped"
EXAMPLE = "dfd-train run --data work --model reseption_v1 --out runs/v1 --epochs 50 --set optimizer.lr=1e-4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "dfd-train run --data WORK --model NAME --out RUN [--config FILE] [--set NAME=VALUE] [settings]"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--dry-run", action="store_true", help="open data and network, say what would be trained on, and end"
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    config = run_config(options)
    from dfd_train.engine.train import train

    try:
        train(config, options.out, options.trust, dry_run=options.dry_run)
    except Interrupted:
        print(
            f"dfd-train: stopped; the same command goes on from {options.out}/checkpoints/last.pt",
            file=sys.stderr,
        )
        return 130
    return 0
