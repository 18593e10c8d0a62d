"""`ffpp-prep scan`: which videos are there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.errors import ExitStatus, UserError

if TYPE_CHECKING:
    from ffpp_prep.splits import SplitSettings

HELP = "list a data set's videos with labels, pairs and splits -> WORK/videos.parquet"
EXAMPLE = "ffpp-prep scan /data/FaceForensics++ -o work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="the data set's folder, or a CSV or Parquet table"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="WORK", help="the folder to write to"
    )
    parser.add_argument(
        "--moved", action="store_true", help="ROOT is what WORK was scanned from before, at another place"
    )
    add_scan_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Scans, and prints the counts."""
    scan_root(options.root, options, options.moved)
    return ExitStatus.OK


def add_scan_arguments(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Adds what `boxes ROOT -o WORK` and `extract ROOT -o WORK` take as well; `when` they count."""
    group = parser.add_argument_group(f"which videos{when}")
    group.add_argument(
        "--layout", default="auto", help="auto, table, ffpp, celebdf, folder or dfdc (%(default)s)"
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


def work_folder(options: argparse.Namespace) -> Path:
    """WORK; with `-o` the positional argument is a data set, which is scanned first where that wasn't done.

    Raises:
        UserError: WORK was scanned from another data set.
    """
    from ffpp_prep.store import scanned_root

    work: Path | None = options.output
    if work is None:
        return Path(options.folder)
    if not (work / "videos.parquet").is_file():
        scan_root(options.folder, options)
    elif (before := scanned_root(work)) != str(options.folder.resolve()):
        raise UserError(
            f"{work} was scanned from {before}, not from {options.folder}; give another -o, or, if the same videos "
            f"lie there now, run  ffpp-prep scan {options.folder} -o {work} --moved  first"
        )
    return work


def split_settings(options: argparse.Namespace) -> SplitSettings:
    """Where splits come from, after the options of `add_scan_arguments`."""
    from ffpp_prep.splits import SplitSettings

    return SplitSettings(options.splits, options.dfd_splits, options.seed)


def scan_root(root: Path, options: argparse.Namespace, moved: bool = False) -> None:
    """Scans `root` into `options.output` and prints what was found."""
    from ffpp_prep.stages import scan

    summary = scan(root, options.output, options.layout, split_settings(options), moved)
    for note in summary.notes:
        print(f"note: {note}")
    if summary.refused:
        first = summary.refused[0]
        print(
            f"note: {len(summary.refused)} entries refused (first: {first.entry[:80]}, {first.reason}); "
            f"all of them: {options.output / 'refused.csv'}"
        )
    for (method, split), count in sorted(summary.counts.items()):
        print(f"{count:7} {method}, {split}")
    print(f"scan: {summary.videos} videos -> {options.output / 'videos.parquet'}")
