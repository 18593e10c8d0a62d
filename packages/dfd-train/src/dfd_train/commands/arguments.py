"""Arguments that several commands share, and their types."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import get_args

from ffpp_prep.settings import BoxSettings, DetectorName


def positive(text: str) -> int:
    """Reads a whole number of at least 1 (argparse's `type`)."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return number


def threshold(text: str) -> float | str:
    """Returns a probability, or the word validation."""
    if text == "validation":
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is neither a probability nor validation")
    return number


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds --device; auto, the default, takes a GPU if there is one."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto uses a GPU if there is one (default)",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Adds --precision; unset, a network computes as it was validated."""
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        help="numeric precision for scoring; bf16 needs hardware support, and is refused if it would change "
        "the decision on any validation video, which is checked once (default: as they were validated, mostly fp32)",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds --trust, into a list; what the environment's DFD_TRAIN_TRUST names (`a:b,c:d`) is in it beforehand."""
    parser.add_argument(
        "--trust",
        action="append",
        default=[name for name in os.environ.get("DFD_TRAIN_TRUST", "").split(",") if name],
        metavar="MODULE:FUNCTION",
        help="a function of yours that a run's files may call to build their network; repeatable",
    )


def add_hardest(parser: argparse.ArgumentParser) -> None:
    """Adds --hardest, the number of hardest videos that are listed."""
    parser.add_argument(
        "--hardest",
        type=positive,
        default=10,
        metavar="N",
        help="how many of the hardest videos to list (default: 10)",
    )


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Adds --batch-size and --workers; unset, they are the run's."""
    parser.add_argument(
        "--batch-size", type=positive, metavar="N", help="frames per batch (default: the run's)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="loader processes (default: the run's)")


def add_other_models(parser: argparse.ArgumentParser) -> None:
    """Adds --with, whose models are collected in `others`."""
    parser.add_argument(
        "--with",
        dest="others",
        type=Path,
        action="append",
        default=[],
        metavar="RUN_OR_WEIGHTS",
        help="a further model; the mean of all logits counts; repeatable",
    )


def add_explain(parser: argparse.ArgumentParser) -> None:
    """Adds --explain."""
    parser.add_argument(
        "--explain",
        action="store_true",
        help="on each page, show what moved the model in the worst frames, and what that is worth (takes longer)",
    )


def add_finder(parser: argparse.ArgumentParser) -> None:
    """Adds which detector finds the faces, and from which score."""
    parser.add_argument(
        "--detector",
        choices=get_args(DetectorName),
        help="the face detector (default: that of the model's data; if ssd finds no face, blazeface searches again)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help=f"the detector's score above which a box is a face (default: {BoxSettings.threshold})",
    )
    parser.add_argument(
        "--tiles",
        type=int,
        choices=range(2, 9),
        metavar="N",
        help="also search N x N overlapping tiles of each picture, for small faces in large pictures (2 to 8; default: "
        "the whole picture only)",
    )
