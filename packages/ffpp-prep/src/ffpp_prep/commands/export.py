"""`ffpp-prep export`: the crops in the form of another program."""

from __future__ import annotations

import argparse

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_jobs, add_out, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.settings import ExportSettings
from ffpp_prep.text.units import counted

HELP = "write the crops for other programs: webdataset, a folder, DeepfakeBench, Hugging Face"
EXAMPLE = "ffpp-prep export work --to webdataset -o tars"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    add_out(
        parser, "DIR", "the folder to write to; an export that was interrupted there goes on", required=True
    )
    add_flags(parser, ExportSettings)
    add_jobs(parser)
    parser.add_argument("--dry-run", action="store_true", help="say how much is left, and write nothing")


def run(options: argparse.Namespace) -> Outcome:
    settings, work = from_flags(ExportSettings, options), work_of(options)
    from ffpp_prep.exports.make import export_crops, pieces_left

    if options.dry_run:
        left, pieces, unit = pieces_left(work, options.out, settings)
        print(f"export: {left:,} of {counted(pieces, unit)} left; nothing was written")
        return Outcome(ExitStatus.OK, {"pieces": pieces, "left": left})
    summary = export_crops(work, options.out, settings, options.jobs)
    before = summary.pieces - summary.written
    print(
        f"export: {counted(summary.crops, 'crop')} of {counted(summary.videos, 'video')} -> {options.out}"
        + f" (files and folders there before: {before:,} of {summary.pieces:,})" * bool(before)
    )
    for note in summary.notes:
        print(note)
    return Outcome(ExitStatus.OK, summary)
