"""`ffpp-prep preview`: pictures of what was found."""

from __future__ import annotations

import argparse
from pathlib import Path

from ffpp_prep.errors import ExitStatus

HELP = "a contact sheet of faces and a page of frames with boxes and scores -> WORK/preview"
EXAMPLE = "ffpp-prep preview work"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("work", type=Path, metavar="WORK", help="a work folder")
    parser.add_argument(
        "--videos", type=int, default=4, metavar="N", help="so many of each method (%(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write there, not to WORK/preview")


def run(options: argparse.Namespace) -> int:
    """Draws, and prints where the files are."""
    from ffpp_prep.preview import write_preview

    made = write_preview(options.work, options.videos, options.output)
    print(f"preview: {made.frames} frames of {made.videos} videos -> {made.sheet} and {made.page}")
    return ExitStatus.OK
