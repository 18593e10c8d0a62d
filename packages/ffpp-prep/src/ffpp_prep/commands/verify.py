"""`ffpp-prep verify`: whether a work folder is as it was written."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_jobs, add_work, work_of
from ffpp_prep.errors import ExitStatus, UserError
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

HELP = "check every checksum, count and crop of a work folder"
EXAMPLE = "ffpp-prep verify work --repair"


def add_arguments(parser: Parser) -> None:
    add_work(parser)
    parser.add_argument(
        "--repair", action="store_true", help="remove what is damaged, so that the next run makes it again"
    )
    add_jobs(parser)


def run(options: argparse.Namespace) -> Outcome:
    work = work_of(options)
    from ffpp_prep.work.verify import verify_work

    commands = _commands(work) if options.repair else {}  # before what they are read from is removed
    found = verify_work(work, options.repair, options.jobs)
    for damage in found.damage:
        print(f"damaged: {damage.file}: {damage.what}")
    for file in found.unread:
        print(f"not checked: {file.file}: {file.why}")
    print(
        f"verify: {counted(found.parts, 'part')} with {counted(found.boxes, 'box')}, "
        f"{counted(found.shards, 'shard')} with {counted(found.crops, 'crop')} ({found.bytes / 1e6:.1f} MB) "
        f"are sound; {len(found.damage):,} damaged"
        + (f"; {len(found.unread):,} could not be read" if found.unread else "")
    )
    if found.damage and options.repair:
        damaged = {damage.file.parent.name for damage in found.damage if damage.remove}
        again = "  and  ".join(command for folder, command in commands.items() if folder in damaged)
        print(f"what was damaged is removed; to make it again:  {again}" if again else "mended")
    elif found.damage:
        print(f"to make it again:  ffpp-prep verify {typed(work)} --repair")
    if found.unread:
        kept = "; nothing of it was removed" if options.repair else ""
        print(
            f"nobody knows whether what could not be read is sound{kept}; see to it, or to the drive, then run this "
            "again"
        )
        return Outcome(ExitStatus.FATAL, found)
    return Outcome(ExitStatus.SOME_FAILED if found.damage else ExitStatus.OK, found)


def _commands(work: Path) -> dict[str, str]:
    """Returns what makes each folder of WORK again, with the settings that it was made with where they can be read."""
    from ffpp_prep.format.tables import read_metadata
    from ffpp_prep.settings import BoxSettings
    from ffpp_prep.work.plan import read_plan
    from ffpp_prep.work.recorded_settings import as_typed, told
    from ffpp_prep.work.store import BoxStore

    boxes = faces = ""
    store = BoxStore(work)
    for path in (*store.commits(), *sorted(store.folder.glob("boxes-*.parquet"))):  # all say the same of them
        with suppress(UserError, OSError, TypeError, ValueError):
            boxes = as_typed(BoxSettings(**told(path, read_metadata(path, ""), "")))
            break
    with suppress(UserError, OSError):
        plan = read_plan(work / "faces")
        faces = as_typed(plan[0]) if plan else ""
    return {
        # --retry-failed: a video's earlier failure counts again where its success was removed
        "boxes": f"ffpp-prep boxes {typed(work)}{boxes} --retry-failed",
        "fakes": f"ffpp-prep check-fakes {typed(work)}",
        "landmarks": f"ffpp-prep landmarks {typed(work)}",
        "faces": f"ffpp-prep extract {typed(work)}{faces}",
    }
