"""Whether a model may score in bf16: once, its validation crops are scored in it and compared with what is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.kept import keep_calibration, run_calibration, validation_predictions
from dfd_train.calibration.precision import compare, find_check, keep_check, kept_checks
from dfd_train.data.loader import default_workers
from dfd_train.engine.device import choose_device
from dfd_train.engine.score import Scoring, require_numbers, score_videos
from dfd_train.errors import UserError
from dfd_train.models.inference import Ready, for_inference, require_bf16
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_prediction_facts
from dfd_train.settings.sections import Device
from ffpp_prep.format.joined import open_sets
from ffpp_prep.text.units import counted

log = logging.getLogger(__name__)


def check_bf16(run: Path, device: Device = "auto", trust: Sequence[str] = ()) -> PrecisionCheck:
    """Returns the comparison of bf16 with fp32 on a model's validation videos, made where it isn't kept.

    Raises: UserError where the processor has no bf16, or no validation videos are at hand; as `load_model`.
    """
    place = choose_device(device)
    require_bf16(place)
    keep_calibration(run)
    kept = find_check(kept_checks(run), "bf16", place.type)
    if kept is not None:
        return kept
    model = load_model(run, place, trust)
    check = compare_on_validation(run, model, for_inference(model.detector, precision="bf16"), place)
    keep_check(run, check)
    log.info("%s: %s", run, check.sentence())
    return check


def compare_on_validation(
    run: Path, model: TrainedModel, ready: Ready, device: torch.device
) -> PrecisionCheck:
    """Scores a run's validation crops with a form of its network and compares with its kept predictions.

    Raises: UserError where these, or the crops, are not at hand; NotANumber.
    """
    precision: Literal["bf16", "int8"] = "int8" if ready.precision == "int8" else "bf16"
    try:
        before = validation_predictions(run)
        facts = read_prediction_facts(RunFolder(run).predictions("val"))
        prepared = model.crops_of(open_sets(model.works(Path(facts["work"]) if model.card else None)))
        calibration = run_calibration(run)
        if calibration is None:
            raise UserError("there is no calibration by which to decide")
        videos = prepared.videos[prepared.videos["video_id"].isin(before["video_id"])]
        scored = counted(len(videos), "validation video")
        log.info("%s: scoring %s in %s, to compare", run, scored, precision)
        scoring = Scoring(
            int(facts["frames_per_video"]),
            model.facts.config.data.batch_size,
            default_workers(),
            ready.amp,
        )
        now = score_videos(
            ready.detector.network, ready.detector.spec, prepared, videos, scoring, device=device
        )
        require_numbers(now["logit"].to_numpy(), f"{run} in {precision}")
        return compare(before, now, calibration, precision, device.type)
    except (OSError, UserError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"precision is {precision}: the validation videos of {run} are not at hand to compare its decisions on "
            f"({why}); allowed: fp32"
        ) from None
