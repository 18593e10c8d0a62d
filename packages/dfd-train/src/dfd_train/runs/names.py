"""What runs are called where several stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfd_train.errors import UserError
from ffpp_prep.format.joined import set_names
from ffpp_prep.text.printable import printable


def run_names(runs: Sequence[Path]) -> list[str]:
    """Returns the names of the runs' folders, with those of the folders above them where two are equal: v1/seed-0.

    Raises: UserError where one run stands twice.
    """
    places = [run.resolve() for run in runs]
    for run, place in zip(runs, places, strict=True):
        if places.count(place) > 1:
            raise UserError(f"{run} stands twice among the runs: name each once")
    return [printable(name) for name in set_names(places)]
