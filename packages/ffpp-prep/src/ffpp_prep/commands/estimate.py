"""`ffpp-prep estimate`: how long it will take, and how much disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_jobs
from ffpp_prep.commands.boxes import add_detection_arguments
from ffpp_prep.commands.scan import add_scan_arguments, table_words
from ffpp_prep.errors import ExitStatus
from ffpp_prep.settings import BoxSettings, CropSettings, Engine, SplitSettings
from ffpp_prep.text.units import counted, duration_text, plural, size_text

if TYPE_CHECKING:
    from ffpp_prep.stages.estimate import Estimate

HELP = "estimate the time and disk that a data set will take, from a timed probe of a few videos"
EXAMPLE = "ffpp-prep estimate /data/FaceForensics++ --jobs 8 --for-training 50"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("root", type=Path, metavar="ROOT", help="the data set's folder, or a table of videos")
    add_jobs(parser)
    add_scan_arguments(parser)
    add_flags(parser.add_argument_group("crops"), CropSettings)
    add_detection_arguments(parser)


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.stages.estimate import estimate_root

    crop = from_flags(CropSettings, options).with_codec()
    found = estimate_root(
        options.root,
        options.layout,
        from_flags(BoxSettings, options),
        crop,
        from_flags(Engine, options),
        options.jobs,
        from_flags(SplitSettings, options),
        table_words(options),
    )
    print(_text(found, crop.codec))
    return Outcome(ExitStatus.OK, found)


def _text(found: Estimate, codec: str) -> str:
    lines = [
        f"videos   {found.videos:,}, {duration_text(3600 * found.hours)} of video, about {found.frames:,} "
        f"{plural(found.frames, 'frame')}",
        f"boxes    about {duration_text(found.boxes_s)} and {size_text(found.boxes_bytes)}: "
        f"{found.detected_frames:,} {plural(found.detected_frames, 'frame')} to detect, "
        f"{found.detect_rate:.1f} a second and job",
        f"points   about {duration_text(found.landmarks_s)} and {size_text(found.landmarks_bytes)}: landmarks of "
        f"{counted(found.faces, 'face')}, if you ask for them",
        f"extract  about {duration_text(found.extract_s)} and {size_text(found.crops_bytes)}: "
        f"{found.crops:,} {plural(found.crops, 'crop')} as {codec}",
        f"from     the headers of {counted(found.counted, 'video')} and the beginnings of {found.probed:,}, "
        f"detected and encoded by {counted(found.jobs, 'job')} at once",
    ]
    if found.unreadable:
        some = ", ".join(found.unreadable[:3]) + (", …" if len(found.unreadable) > 3 else "")
        lines.append(f"note     {len(found.unreadable):,} of the {found.counted:,} can't be opened: {some}")
    return "\n".join(lines)
