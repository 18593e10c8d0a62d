"""A folder of runs that differ in their seed only, as `dfd-train run --seeds` leaves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

NAME = re.compile(r"seed-(\d+)")


def seed_folder(folder: Path, seed: int) -> Path:
    """Returns where the run with this seed lies."""
    return folder / f"seed-{seed}"


def seeds_in(folder: Path) -> list[int]:
    """Returns the seeds of the runs that were begun in `folder`, ascending; none where it is a run itself."""
    if not folder.is_dir() or (folder / "config.toml").is_file():
        return []
    found = (NAME.fullmatch(each.name) for each in folder.iterdir() if (each / "config.toml").is_file())
    return sorted(int(name[1]) for name in found if name)


def each_run(folders: Iterable[Path]) -> list[Path]:
    """Returns the runs: in the place of a folder of seeds each run in it."""
    return [run for folder in folders for run in (runs_of_seeds(folder) or [folder])]


def runs_of_seeds(folder: Path) -> list[Path]:
    """Returns the runs of a folder of seeds; none where it is not one."""
    return [seed_folder(folder, seed) for seed in seeds_in(folder)]
