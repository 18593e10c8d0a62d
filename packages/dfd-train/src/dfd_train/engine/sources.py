"""Where crops come from: how many are stored, how many must be cut from videos, and what that costs."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from dfd_train.data.batches import Spots
from ffpp_prep.format.frames import asked_for
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted, duration_text
from ffpp_prep.video import is_there

TRIED = 3  # crops that are cut to know what one costs
LOOKED_AT = 500  # missing crops by which the command that stores them is chosen
STORED = (("", "presets"), ("", "deepfakebench"))  # --batches, --protocol of `extract`
MULTIPLE = " --include-multiple-faces"
FEW = 0.05  # below this share cutting is not worth a warning


def crop_sources(prepared: PreparedSet, spots: Spots, what: str, epochs: int) -> str:
    """Says in one line how many crops of the (N, 2) spots are stored and how many are cut; many are warned of.

    A stored crop takes about 10 ms, one that is cut from a large video nearly a second: its file is opened, sought and
    decoded. So a few are cut here, and what they took is said for all.

    Args:
        prepared: the set.
        spots: rows and frames that will be asked for.
        what: what asks for them, as "first epoch and validation".
        epochs: how many the run has.

    Raises: FileNotFoundError where a crop isn't stored and its video isn't there either; UserError where one that is
    tried can't be cut.
    """
    missing = spots[~prepared.are_stored(spots)]
    line = (
        f"{what}: {counted(len(spots) - len(missing), 'crop')} stored, {len(missing):,} to be cut from videos"
    )
    if not len(missing):
        return line
    for row in np.unique(missing[:, 0]).tolist():
        path = Path(prepared.videos.at[row, "path"])
        if not is_there(path):
            raise FileNotFoundError(f"crops are missing in {prepared.places}, and so is their video {path}")
    cost = _seconds(prepared, missing) * len(missing)
    line += f", which takes about {duration_text(max(1.0, cost))} of processor time"
    line += f"; {_extract(prepared, missing, epochs)}"
    return f"WARNING: {line}" if len(missing) > FEW * len(spots) else line


def _extract(prepared: PreparedSet, missing: npt.NDArray[np.int32], epochs: int) -> str:
    """Returns the commands that store the missing crops, one a set."""
    commands = []
    for own, start in prepared.parts:
        here = missing[(missing[:, 0] >= start) & (missing[:, 0] < start + len(own.videos))]
        if len(here):
            commands.append(f"`ffpp-prep extract {typed(own.work)}{_choosing(prepared, here, epochs)}`")
    return f"{' and '.join(commands)} store{'s' * (len(commands) == 1)} them"


def _choosing(prepared: PreparedSet, missing: npt.NDArray[np.int32], epochs: int) -> str:
    """Returns `extract`'s flags that store the missing crops and the fewest others; none where it takes all."""
    some = missing[np.linspace(0, len(missing) - 1, min(len(missing), LOOKED_AT)).astype(int)]
    asking = [
        (prepared.videos.at[row, "split"], prepared.length(row), prepared.altered(row), frame)
        for row, frame in some.tolist()
    ]
    several = prepared.videos.loc[np.unique(missing[:, 0])].query("multiple_faces")["split"]
    for batches, protocol in itertools.product(*STORED):
        if all(
            frame in asked_for(split, epochs, length, batches, protocol, altered)
            for split, length, altered, frame in asking
        ):
            flags = f" --for-training {epochs}"
            flags += f" --batches {batches}" if batches else ""
            flags += f" --protocol {protocol}" if protocol else ""
            without = several[several != "test"] if protocol else several
            return flags + MULTIPLE * (len(without) > 0)
    return MULTIPLE * (len(several) > 0)


def _seconds(prepared: PreparedSet, missing: npt.NDArray[np.int32]) -> float:
    """Returns the processor time of cutting one crop: the median of a few, spread over all."""
    taken = []
    for row, frame in missing[np.linspace(0, len(missing) - 1, TRIED).astype(int)].tolist():
        started = time.process_time()
        prepared.read_crop_at(row, frame)
        taken.append(time.process_time() - started)
    return median(taken)
