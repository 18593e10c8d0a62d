"""Runs the cases in `shared/cases`, each in a copy, and prints a line for each: `python tests/cases [NAME …]`.

DFD_CASES names another folder of cases. The exit status is 1 where one isn't mended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import Bench, CannotRun, cases_folder
from expectations import EXPECTATIONS


def main() -> int:
    """Runs the cases named, or all; returns 1 where one isn't mended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(EXPECTATIONS)}")
    names = parser.parse_args().names or list(EXPECTATIONS)
    if unknown := sorted(set(names) - set(EXPECTATIONS)):
        parser.error(f"no case {', '.join(unknown)}")
    cases = cases_folder()
    if cases is None:
        parser.error("no shared/cases beside or above the repository; DFD_CASES names them elsewhere")
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                verdict = EXPECTATIONS[name](Bench(name, cases, Path(folder)))
                failed += not verdict.mended
                print(f"{'mended' if verdict.mended else 'NOT MENDED':14} {name}: {verdict.seen}", flush=True)
            except CannotRun as reason:
                print(f"{'cannot run here':14} {name}: {reason}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
