"""`ffpp-prep check-fakes`: which faces of the fakes were manipulated at all."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ffpp_prep.command_line.flags import add_flags, from_flags
from ffpp_prep.command_line.parser import Parser
from ffpp_prep.command_line.program import Outcome
from ffpp_prep.commands.arguments import add_csv, add_retry, add_sharing, add_work, work_of
from ffpp_prep.errors import ExitStatus
from ffpp_prep.settings import FakeSettings
from ffpp_prep.text.units import counted

if TYPE_CHECKING:
    import pandas as pd

    from ffpp_prep.stages.fakes import FakesSummary
    from ffpp_prep.work.failures import Failure

HELP = "measure, face by face, whether a fake differs from its original, and write that to WORK/fakes"
EXAMPLE = "ffpp-prep check-fakes work --jobs 8"
LISTED = 10  # videos of a kind that are printed; the others are counted


def add_arguments(parser: Parser) -> None:
    add_work(parser, "a work folder with boxes")
    add_flags(parser.add_argument_group("what is untouched"), FakeSettings)
    add_csv(parser, "write every fake that is not ok, and why, as a table")
    add_sharing(parser)
    add_retry(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many fakes are left, and write nothing"
    )


def run(options: argparse.Namespace) -> Outcome:
    from ffpp_prep.stages.fakes import FAILED, check_fakes
    from ffpp_prep.work.failures import failure_lines, write_failures
    from ffpp_prep.work.fakes import marked_lines

    work, settings = work_of(options), from_flags(FakeSettings, options)
    if options.dry_run:
        return _left(work, settings, options.retry_failed)
    summary = check_fakes(
        work, options.jobs, options.retry_failed, options.timeout, options.scheduler, settings
    )
    _print(summary, work)
    checks = summary.checks
    untouched = checks["faces_untouched"] == checks["faces"]
    _print_some(
        "not manipulated at all, left out completely by --untouched drop",
        checks[untouched & (checks["faces"] > 0)],
    )
    hidden = checks[checks["faces_unknown"] > 0]
    if len(hidden):
        print(
            f"{counted(int(hidden['faces_unknown'].sum()), 'face')} in {counted(len(hidden), 'video')} are too "
            "compressed to judge, and count as touched; in "
            f"{(hidden['faces_unknown'] == hidden['faces']).sum():,} of these videos that is every face"
        )
    if not summary.asks_compression:
        print(
            "these fakes were measured by an earlier version that ignored compression, so in heavily compressed "
            "videos it may call manipulated faces untouched; to measure again, remove "
            f"{work / 'fakes'} and run this again"
        )
    for line in marked_lines(checks):
        print(line)
    _print_some("flickering", checks[(checks["changes"] > 0) & ~untouched])
    _print_some("manipulation switches faces", checks[checks["switches"] > 0])
    failed = _failures(checks)
    for line in failure_lines(failed, work, "check-fakes"):
        print(line)
    if options.csv:
        write_failures(failed, options.csv)
        print(f"{counted(len(failed), 'fake')} not ok -> {options.csv}")
    some = checks["status"].isin(FAILED).any()
    return Outcome(ExitStatus.SOME_FAILED if some else ExitStatus.OK, summary)


def _print(summary: FakesSummary, work: Path) -> None:
    done = (
        ", ".join(f"{n:,} {status}" for status, n in sorted(summary.statuses.items())) or "nothing left to do"
    )
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.frames else ""
    print(
        f"check-fakes: {done}; {summary.skipped:,} done before; {counted(summary.frames, 'frame')}{rate} -> "
        f"{work / 'fakes'}"
    )
    _print_left_out(summary.left_out)
    if len(summary.checks):
        columns = ["faces", "faces_untouched", "faces_unknown", "frames_untouched"]
        counts = summary.checks.groupby("method")[columns].sum()
        counts.insert(0, "videos", summary.checks["method"].value_counts())
        counts.index.name = None
        print(counts.rename(columns=lambda name: name.replace("_", " ")).to_string())


def _left(work: Path, settings: FakeSettings, retry_failed: bool) -> Outcome:
    from ffpp_prep.stages.fakes import fakes_left

    left, fakes, left_out = fakes_left(work, retry_failed, settings)
    print(f"check-fakes: {left:,} of {counted(fakes, 'fake')} left; nothing was written")
    _print_left_out(left_out)
    return Outcome(ExitStatus.OK, {"fakes": fakes, "left": left, "left_out": left_out})


def _print_left_out(left_out: dict[str, int]) -> None:
    for reason, count in left_out.items():
        print(f"not measured: {counted(count, 'fake')}, {reason}")


def _failures(checks: pd.DataFrame) -> list[Failure]:
    failed = checks[checks["status"] != "ok"]
    return list(failed[["video_id", "status", "error"]].itertuples(index=False, name=None))


def _print_some(what: str, checks: pd.DataFrame) -> None:
    if checks.empty:
        return
    print(f"{what}: {counted(len(checks), 'video')}")
    for row in checks.sort_values("faces_untouched", ascending=False).head(LISTED).itertuples():
        print(
            f"  {row.video_id}: {row.faces_untouched:,} of {counted(row.faces, 'face')} untouched, "
            f"{counted(row.changes, 'change')}, {counted(row.switches, 'switch')}"
        )
    if len(checks) > LISTED:
        print(f"  … and {len(checks) - LISTED:,} more")
