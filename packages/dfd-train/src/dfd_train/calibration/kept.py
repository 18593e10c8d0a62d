"""A run's calibration, kept in RUN/calibration.json for the one checkpoint that it names.

Nothing here scores a video: it is learned from RUN/predictions-val.parquet. `engine.validation` scores where that is
missing.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pandas as pd

from dfd_train.calibration.learned import Calibration, calibrate, from_probabilities
from dfd_train.errors import UserError
from dfd_train.runs.files import write_atomically
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions
from ffpp_prep.errors import Damaged
from ffpp_prep.format.checksums import read_checked_json, with_checksum
from ffpp_prep.format.files import sha256_of
from ffpp_prep.text.typed import typed

log = logging.getLogger(__name__)

FILE = "calibration.json"


@dataclass(frozen=True)
class _OfBefore:
    """What calibration.json held while a temperature was all there was."""

    checkpoint_sha256: str
    temperature: float
    threshold: float
    videos_real: int
    videos_fake: int
    real: tuple[float, ...]
    fake: tuple[float, ...]

    def calibration(self) -> Calibration:
        videos = self.videos_real, self.videos_fake
        known = self.checkpoint_sha256, self.temperature, self.threshold
        return from_probabilities(*known, videos, self.real, self.fake)


def run_calibration(run: Path) -> Calibration | None:
    """Returns the calibration of a run's best checkpoint: the kept one, or else that of the validation
    predictions at hand.

    Nothing is written. None, with a warning, where there is neither. Raises: UserError where predictions are damaged.
    """
    kept = current_calibration(run)
    if kept is not None:
        _say_its_age(run, kept)
        return kept
    try:
        return _learned(run)
    except Damaged:
        raise
    except (OSError, UserError) as error:
        log.warning("%s: no calibration, so no verdicts: %s", run, " ".join(str(error).split()))
        return None


def keep_calibration(run: Path) -> None:
    """Writes RUN/calibration.json anew where it is not that of the run's best checkpoint.

    A run without validation predictions of that checkpoint, or with one class only in them, has none. A folder that
    can't be written to is warned of.
    """
    kept = current_calibration(run)
    if kept is not None:
        _say_its_age(run, kept)
        return
    try:
        calibration = _learned(run)
    except (OSError, UserError) as error:
        log.debug("%s: no calibration: %s", run, error)
        return
    try:
        _write(run, calibration)
    except OSError as error:
        log.warning("%s cannot be kept: %s", run / FILE, error)


def learn_calibration(run: Path) -> Calibration:
    """Learns a run's calibration from its validation predictions, and writes it in the place of any kept one.

    Raises: as `validation_predictions` and `calibrate`; OSError where the folder can't be written to.
    """
    calibration = _learned(run)
    _write(run, calibration)
    return calibration


def _learned(run: Path) -> Calibration:
    folder = RunFolder(run)
    return calibrate(validation_predictions(run), sha256_of(folder.best), folder.pooling)


def _write(run: Path, calibration: Calibration) -> None:
    content = with_checksum(msgspec.to_builtins(calibration))
    write_atomically(run / FILE, json.dumps(content, indent=2).encode())


def _say_its_age(run: Path, kept: Calibration) -> None:
    """Says that a calibration is an older one: it changes no scores until somebody asks for it."""
    if not kept.stretches.groups:
        log.warning(
            "%s is of an earlier version, a temperature only, and doesn't know whom its videos show: "
            "`dfd-train calibrate %s` learns it again",
            run / FILE,
            run,
        )


def current_calibration(run: Path) -> Calibration | None:
    """Returns what RUN/calibration.json says, where it is of the run's best checkpoint."""
    kept = read_calibration(run)
    return kept if kept is not None and kept.checkpoint_sha256 == sha256_of(RunFolder(run).best) else None


def read_calibration(run: Path) -> Calibration | None:
    """Returns what RUN/calibration.json says; None where there is no such file, or it is not as it was written."""
    try:
        content = read_checked_json(run / FILE, "it is made again")
    except Damaged as damage:
        log.warning("%s", damage)
        return None
    except OSError:
        return None
    with suppress(msgspec.ValidationError):
        return msgspec.convert(content, Calibration)
    with suppress(msgspec.ValidationError):
        return msgspec.convert(content, _OfBefore).calibration()
    return None


def validation_predictions(run: Path) -> pd.DataFrame:
    """Returns predictions of the best checkpoint on the run's validation split, without methods that did not train.

    Raises: FileNotFoundError where there are none; UserError where they are of another checkpoint or damaged.
    """
    folder = RunFolder(run)
    path = folder.predictions("val")
    remedy = f"`dfd-train evaluate {typed(run)} --split val` scores them"
    if folder.is_adopted:
        remedy = f"`dfd-train calibrate {typed(run)} --data WORK` makes them from your own labelled videos"
    if not path.is_file():
        raise FileNotFoundError(f"no validation predictions: {path}; {remedy}")
    predictions, facts = read_predictions(path)
    if facts.get("checkpoint_sha256") != sha256_of(folder.best):
        raise UserError(f"{path} is of another checkpoint than {folder.best}: {remedy}")
    return predictions[~predictions["method"].isin(folder.read_config().data.exclude_methods)]
