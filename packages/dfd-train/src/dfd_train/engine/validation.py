"""Makes what predicting needs to know about validation videos, if it is missing. Loading a model never does that."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from dfd_train.calibration.kept import current_calibration, keep_calibration, validation_predictions
from dfd_train.engine.device import choose_device
from dfd_train.engine.evaluate import EvaluationRequest, evaluate
from dfd_train.engine.precision import check_bf16
from dfd_train.errors import UserError
from dfd_train.models.inference import require_bf16, require_gain
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.sections import Device, Precision

log = logging.getLogger(__name__)


def validate_models(
    models: Sequence[Path],
    device: Device = "auto",
    trust: Sequence[str] = (),
    precision: Precision | None = None,
    *,
    for_speed: bool = True,
) -> None:
    """Scores the validation split of the runs among `models` where that was not done, and keeps their calibrations.

    `dfd-train run` and `evaluate` have done it already; exports carry what they know. Several models together need
    each one's predictions, one alone its calibration only. `trust`: as `load_model`. Where a validation set is out
    of reach there is a warning: such a model gives no verdicts. With precision bf16, runs and adopted detectors are
    compared in it with what is kept, unless that was done (`engine.precision`). `for_speed`: bf16 is refused where it
    isn't faster.

    Raises: as `load_model`; with bf16 as `check_bf16` and `require_gain`.
    """
    if precision == "bf16":
        place = choose_device(device)
        require_bf16(place)
        if for_speed:
            require_gain(place)
    for run in models:
        if RunFolder(run).is_run and RunFolder(run).best.is_file():
            _validate(run, device, trust, alone=len(models) == 1 and precision != "bf16")
        if precision == "bf16" and (RunFolder(run).is_run or RunFolder(run).is_adopted):
            check_bf16(run, device, trust)


def _validate(run: Path, device: Device, trust: Sequence[str], *, alone: bool) -> None:
    if alone and current_calibration(run) is not None:
        return
    try:
        validation_predictions(run)
    except (OSError, UserError):
        load_model(run, trust=trust)  # a model that can't be loaded is a mistake of its own
        log.info("%s: scoring its validation split, for the calibration", run)
        try:
            evaluate(run, EvaluationRequest(split="val", device=device, trust=tuple(trust)))
        except (OSError, UserError) as error:
            log.warning("%s: its validation split can't be scored: %s", run, " ".join(str(error).split()))
    else:
        keep_calibration(run)
