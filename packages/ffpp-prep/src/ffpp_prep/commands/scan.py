"""`ffpp-prep scan`: which videos are there."""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_out, work_of
from ffpp_prep.errors import ExitStatus, UserError
from ffpp_prep.settings import PictureRule, SplitSettings
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    from ffpp_prep.datasets.layouts import RefusedEntry, TableWords
    from ffpp_prep.stages.scanning import ScanSummary

HELP = "list a data set's videos, with labels, pairs and splits, in WORK/videos.parquet"
EXAMPLE = "ffpp-prep scan /data/FaceForensics++ -o work"
REASONS = 8  # why something isn't taken, that are printed; all of them are in refused.csv


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="the data set's folder, or a CSV or Parquet table"
    )
    add_out(parser, "WORK", "the folder to write to", required=True)
    parser.add_argument("--dry-run", action="store_true", help="say what would be listed, and write nothing")
    parser.add_argument(
        "--moved",
        action="store_true",
        help="ROOT is the data set that WORK was scanned from, in another place",
    )
    add_scan_arguments(parser)


def run(options: argparse.Namespace) -> Outcome:
    if options.dry_run:
        with tempfile.TemporaryDirectory(prefix="ffpp-prep-") as folder:
            options.out = Path(folder)
            summary = scan_root(options.root, options, options.moved)
        return Outcome(ExitStatus.OK, summary)
    return Outcome(ExitStatus.OK, scan_root(options.root, options, options.moved))


def add_scan_arguments(parser: Parser, when: str = "") -> None:
    """Adds what `boxes ROOT -o WORK` and `extract ROOT -o WORK` take as well; `when` they count."""
    group = parser.add_argument_group(f"which videos{when}")
    group.add_argument(
        "--layout",
        default="auto",
        metavar="NAME",
        help="the data set's form on disk; an unknown name lists the known ones (default: %(default)s)",
    )
    add_flags(group, SplitSettings)
    group.add_argument(
        "--altered-voice",
        action="store_true",
        help="take videos with a real picture and an altered voice as real (default: leave them out)",
    )
    group.add_argument(
        "--pictures",
        default="auto",
        choices=get_args(PictureRule),
        help="which pictures are videos: folders of numbered ones (frames), each by itself, or by default both if "
        "the set has no video",
    )
    group.add_argument(
        "--columns",
        default="",
        metavar="NAME=COLUMN,…",
        help="what a table calls the columns path, label, split, …: path=Filename,label=Truth",
    )
    group.add_argument(
        "--labels",
        default="",
        metavar="VALUE=MEANING,…",
        help="what a table's labels mean, each real, fake or skip: 1=real,0=fake,Unknown=skip",
    )


def work_folder(options: argparse.Namespace) -> Path:
    """Returns WORK; with `-o` the positional argument is a data set, which is scanned first where that wasn't done.

    Raises:
        UserError: WORK was scanned from another data set.
    """
    from ffpp_prep.work.store import scanned_root

    folder, work = work_of(options), options.out
    if work is None:
        return folder
    if not (work / "videos.parquet").is_file():
        scan_root(folder, options)
    elif (before := scanned_root(work)) != str(folder.resolve()):
        raise UserError(
            f"{work} was scanned from {before}, not from {folder}; give another -o, or, if the same videos "
            f"are there now, run  ffpp-prep scan {typed(folder)} -o {typed(work)} --moved  first"
        )
    return Path(work)


def table_words(options: argparse.Namespace) -> TableWords:
    """Returns what a table's columns and labels mean, after the same options."""
    from ffpp_prep.datasets.layouts import TableWords

    return TableWords(_pairs("--columns", options.columns), _pairs("--labels", options.labels))


def _pairs(flag: str, text: str) -> dict[str, str]:
    """Reads NAME=VALUE,…; a pair with a comma stands in quotes, as in a table. The name of a label may hold a =."""
    try:
        given = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise UserError(f"{flag} {text}: {error}") from None
    pairs = [
        pair.rpartition("=") if flag == "--labels" else pair.partition("=") for pair in given if pair.strip()
    ]
    for name, sign, value in pairs:
        if not sign or not value.strip():
            raise UserError(
                f"{flag} {name or value}{sign}: expected {flag} NAME=VALUE, several with commas between"
            )
    return {name.strip(): value.strip() for name, _, value in pairs}


def scan_root(root: Path, options: argparse.Namespace, moved: bool = False) -> ScanSummary:
    """Scans `root` into `options.out` and prints what was found."""
    from ffpp_prep.stages import scan
    from ffpp_prep.work.store import read_scan
    from ffpp_prep.work.usable import usable_lines

    summary = scan(
        root,
        options.out,
        options.layout,
        from_flags(SplitSettings, options),
        moved,
        table_words(options),
        options.altered_voice,
        options.pictures,
    )
    for note in summary.notes:
        print(f"note: {note}")
    _print_refused(summary.refused)
    for (method, split), count in sorted(summary.counts.items()):
        print(f"{count:7} {method}, {split}")
    for line in usable_lines(read_scan(options.out)):
        print(line)
    dry = getattr(options, "dry_run", False)
    refused = counted(len(summary.refused), "entry") + " refused"
    told = (counted(summary.videos, "video"), "videos.parquet"), (refused, "refused.csv")
    parts = [text if dry else f"{text} -> {options.out / file}" for text, file in told]
    print(
        f"scan: {'; '.join(parts if summary.refused else parts[:1])}{'; a dry run: nothing was written' * dry}"
    )
    return summary


def _print_refused(refused: Sequence[RefusedEntry]) -> None:
    """Prints what isn't taken as it is: how often for which reason, with an example of each."""
    from ffpp_prep.datasets.layouts import by_reason

    groups = by_reason(refused)
    for reason, entries in groups[:REASONS]:
        first = entries[0]
        print(
            f"refused: {counted(len(entries), 'entry')}, {reason}; such as {first.entry[:80]} in {first.where or '.'}"
        )
    if len(groups) > REASONS:
        print(f"refused: {counted(sum(len(e) for _, e in groups[REASONS:]), 'entry')} for other reasons")
