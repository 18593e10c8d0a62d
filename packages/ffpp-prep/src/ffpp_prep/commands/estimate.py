"""`ffpp-prep estimate`: how long it will take, and how much disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.commands.boxes import add_detection_arguments, box_settings, engine
from ffpp_prep.commands.extract import add_crop_arguments, crop_settings
from ffpp_prep.commands.scan import add_scan_arguments, split_settings, table_words
from ffpp_prep.errors import ExitStatus
from ffpp_prep.machine import cores
from ffpp_prep.text.units import duration_text, size_text

if TYPE_CHECKING:
    from ffpp_prep.stages.estimate import Estimate

HELP = "videos, hours, frames, time and disk of a data set, from a timed probe of a few videos"
EXAMPLE = "ffpp-prep estimate /data/FaceForensics++ --jobs 8 --for-training 50"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("root", type=Path, metavar="ROOT", help="the data set's folder, or a table of videos")
    parser.add_argument("--jobs", type=int, default=cores(), help="worker processes (%(default)s)")
    add_scan_arguments(parser)
    add_crop_arguments(parser)
    add_detection_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Probes, and prints what is to be expected."""
    from ffpp_prep.stages.estimate import estimate_root

    crop = crop_settings(options)
    found = estimate_root(
        options.root,
        options.layout,
        box_settings(options),
        crop,
        engine(options),
        options.jobs,
        split_settings(options),
        table_words(options),
    )
    print(_text(found, crop.codec))
    return ExitStatus.OK


def _text(found: Estimate, codec: str) -> str:
    lines = [
        f"videos   {found.videos}, {duration_text(3600 * found.hours)} of video, about {found.frames:,} frames",
        f"boxes    about {duration_text(found.boxes_s)} and {size_text(found.boxes_bytes)}: "
        f"{found.detected_frames:,} frames to detect, {found.detect_rate:.1f} a second and job",
        f"extract  about {duration_text(found.extract_s)} and {size_text(found.crops_bytes)}: "
        f"{found.crops:,} crops as {codec}",
        f"from     the headers of {found.counted} videos and the beginnings of {found.probed}, "
        f"detected and encoded by {found.jobs} jobs at once",
    ]
    if found.unreadable:
        some = ", ".join(found.unreadable[:3]) + (", …" if len(found.unreadable) > 3 else "")
        lines.append(f"note     {len(found.unreadable)} of the {found.counted} can't be opened: {some}")
    return "\n".join(lines)
