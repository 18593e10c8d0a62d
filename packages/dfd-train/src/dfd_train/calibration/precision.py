"""What fewer bits change on a model's validation videos: compared once, kept in RUN/precision.json and in exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pandas as pd

from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.kept import current_calibration
from dfd_train.calibration.learned import Calibration
from dfd_train.errors import UserError
from dfd_train.metrics import scores
from dfd_train.runs.folder import RunFolder
from ffpp_prep.errors import Damaged
from ffpp_prep.format.files import sha256_of
from ffpp_prep.text.units import counted

FILE = "precision.json"
FRAME = ["video_id", "frame", "face"]


def compare(
    before: pd.DataFrame,
    now: pd.DataFrame,
    calibration: Calibration,
    precision: Literal["bf16", "int8"],
    device: str,
) -> PrecisionCheck:
    """Compares two tables of predictions of the same frames, in any order.

    Raises: UserError where a frame of `before` is missing in `now`.
    """
    both = before.merge(now[[*FRAME, "logit"]], on=FRAME, suffixes=("", "_now"))
    if len(both) != len(before):
        raise UserError(
            f"the validation predictions are of {counted(len(before), 'crop')}, of which the prepared set "
            f"gives {len(both)}"
        )
    old = calibration.score.videos(both.drop(columns="logit_now"))
    new = calibration.score.videos(both.drop(columns="logit").rename(columns={"logit_now": "logit"}))
    line = calibration.threshold_value
    return PrecisionCheck(
        precision=precision,
        device=device,
        checkpoint_sha256=calibration.checkpoint_sha256,
        threshold_value=line,
        videos=len(old),
        changed=int(((old["value"] > line) != (new["value"] > line)).sum()),
        auc=_auc(new),
        auc_before=_auc(old),
        deviation=float(np.abs(both["logit"] - both["logit_now"]).max()),
    )


def _auc(videos: pd.DataFrame) -> float:
    label, value = videos["label"].to_numpy(np.float64), videos["value"].to_numpy(np.float64)
    return float(scores.auc(scores.rank(label, value, np.ones(len(label)))))


def keep_check(run: Path, check: PrecisionCheck) -> None:
    """Writes a check beside those of other devices and precisions."""
    folder = RunFolder(run)
    kept = {**folder.read_json(FILE), f"{check.precision} {check.device}": msgspec.to_builtins(check)}
    folder.write_json(FILE, kept)


def kept_checks(run: Path) -> tuple[PrecisionCheck, ...]:
    """Returns a run's checks under its present calibration. Raises: UserError for a damaged file."""
    calibration, sha256 = current_calibration(run), sha256_of(RunFolder(run).best)
    try:
        checks = [msgspec.convert(check, PrecisionCheck) for check in RunFolder(run).read_json(FILE).values()]
    except msgspec.ValidationError as error:
        raise Damaged(run / FILE, str(error), "remove it: it is made again") from None
    return tuple(
        check
        for check in checks
        if calibration is not None
        and (check.checkpoint_sha256, check.threshold_value) == (sha256, calibration.threshold_value)
    )


def find_check(checks: Iterable[PrecisionCheck], precision: str, device: str) -> PrecisionCheck | None:
    """Returns the one of a precision on a device; None where there is none."""
    return next((one for one in checks if (one.precision, one.device) == (precision, device)), None)


def require_bf16_checked(checks: Sequence[PrecisionCheck], device: str, path: Path) -> PrecisionCheck:
    """Returns the check that allows bf16. Raises: UserError where none does."""
    check = find_check(checks, "bf16", device)
    if check is None:
        raise UserError(
            f"precision is bf16: no validation videos of {path} are at hand on which it was compared with fp32 on this "
            "device; allowed: fp32"
        )
    if check.changed:
        raise UserError(
            f"precision is bf16: it decides {check.changed:,} of {counted(check.videos, 'validation video')} of {path} "
            "otherwise than fp32; allowed: fp32"
        )
    return check
