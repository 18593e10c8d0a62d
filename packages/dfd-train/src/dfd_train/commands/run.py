"""`dfd-train run`: training, begun or gone on with."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from dfd_train.commands.arguments import positive
from dfd_train.commands.settings import add_settings, run_config
from dfd_train.errors import Interrupted, UserError
from dfd_train.runs.seeds import seed_folder, seeds_in
from ffpp_prep.text.typed import typed

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
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="N",
        help="train N runs that differ in their seed, train.seed and those after it, in RUN/seed-0, RUN/seed-1, …",
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    begun = seeds_in(options.out)
    if begun and options.seeds is None:
        names = ", ".join(f"seed-{seed}" for seed in begun)
        raise UserError(
            f"{options.out} holds the runs {names}: with --seeds {max(len(begun), 2)} or more they go on, "
            f"with --out {options.out / f'seed-{begun[0]}'} one does"
        )
    config = run_config(options, seed_folder(options.out, begun[0]) if begun else None)
    from dfd_train.engine.processes import own_processes
    from dfd_train.engine.train import train

    runs = {options.out: config}
    if options.seeds is not None:
        if (options.out / "config.toml").exists():
            raise UserError(f"{options.out} is a run: --seeds needs a folder of its own in --out")
        if own_processes().count > 1:
            raise UserError(
                "--seeds trains run after run in one process; with torchrun: --seed S --out RUN/seed-S"
            )
        seeds = range(config.train.seed, config.train.seed + options.seeds)
        runs = {
            seed_folder(options.out, s): replace(config, train=replace(config.train, seed=s)) for s in seeds
        }
    for out, one in runs.items():
        try:
            train(one, out, options.trust, dry_run=options.dry_run)
        except Interrupted:
            print(
                f"dfd-train: stopped; the same command goes on from {out}/checkpoints/last.pt",
                file=sys.stderr,
            )
            return 130
    if options.seeds is not None and not options.dry_run:
        print(f"mean and deviation over the seeds: dfd-train compare {typed(options.out)}")
    return 0
