"""Videos that failed, as a person reads them: a few of each kind in a terminal, all in a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ffpp_prep.format.files import whole_file
from ffpp_prep.text.spreadsheet import cell

LISTED = 10  # of each status

Failure = tuple[str, str, str]  # video_id, status, error


def failure_lines(failures: Iterable[Failure], work: Path, command: str = "status") -> Iterator[str]:
    """Yields `LISTED` of each status, how many more there are, and which command of ffpp-prep writes all of them."""
    more = False
    for status, same in groupby(sorted(failures, key=lambda f: (f[1], f[0])), key=lambda f: f[1]):
        of_status = list(same)
        for video_id, _, error in of_status[:LISTED]:
            yield f"  {status:13} {video_id}: {error}"
        if len(of_status) > LISTED:
            more = True
            yield f"  {status:13} … and {len(of_status) - LISTED:,} more"
    if more:
        yield f"  all of them, as a table:  ffpp-prep {command} {work} --csv failures.csv"


def write_failures(failures: Sequence[Failure], path: Path) -> None:
    """Writes all as CSV, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video_id", "status", "error"))
        rows.writerows([cell(value) for value in failure] for failure in failures)
