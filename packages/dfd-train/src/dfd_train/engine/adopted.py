"""A scale by request: a published detector's from somebody's own labelled videos, a run's anew from its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dfd_train.calibration.kept import (
    FILE,
    current_calibration,
    keep_calibration,
    learn_calibration,
    validation_predictions,
)
from dfd_train.calibration.learned import Calibration
from dfd_train.engine.evaluate import EvaluationRequest, evaluate
from dfd_train.errors import UserError
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_predictions, write_predictions


def calibrate_detector(detector: Path, request: EvaluationRequest) -> tuple[Calibration, str]:
    """Scores a split of a prepared set and keeps what it says of the detector's scores; and what to know of them.

    Raises: FileNotFoundError, UserError where a class is missing; NotANumber.
    """
    folder = RunFolder(detector)
    result = evaluate(detector, replace(request, for_calibration=True))
    predictions, facts = read_predictions(result.path)
    write_predictions(folder.predictions("val"), predictions, facts)
    (detector / FILE).unlink(missing_ok=True)  # of the same weights, on other videos
    keep_calibration(detector)
    calibration = current_calibration(detector)
    if calibration is None:
        raise UserError(f"{detector / FILE} can't be kept: is the folder writable?")
    return calibration, result.checkpoint


def calibrate_run(run: Path, request: EvaluationRequest) -> Calibration:
    """Learns a run's calibration anew from its own validation videos, scored where they aren't yet.

    Raises: FileNotFoundError, UserError for an unfit run, or validation videos of one class; NotANumber.
    """
    try:
        validation_predictions(run)
    except (OSError, UserError):
        evaluate(run, request)
    return learn_calibration(run)
