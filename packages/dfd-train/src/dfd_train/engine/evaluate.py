"""A trained run on one split: predictions on disk, and how many videos they cover."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd

from dfd_train.adopt.card import Card
from dfd_train.calibration.kept import current_calibration, keep_calibration
from dfd_train.calibration.learned import with_deployed_score
from dfd_train.calibration.precision import kept_checks, require_bf16_checked
from dfd_train.data.loader import default_workers
from dfd_train.data.official import officially_tested
from dfd_train.data.overlap import Overlap, overlap
from dfd_train.data.selection import in_split, select_videos
from dfd_train.data.several import several_line, with_places
from dfd_train.engine.device import choose_device
from dfd_train.engine.record import prediction_facts
from dfd_train.engine.score import Scoring, require_numbers, score_videos, seconds_a_crop
from dfd_train.engine.sources import crop_sources
from dfd_train.errors import UserError
from dfd_train.metrics import best_threshold
from dfd_train.metrics.benchmark import benchmark_sets
from dfd_train.metrics.videos import Aggregation
from dfd_train.models.inference import for_inference
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import read_prediction_facts, read_predictions, write_predictions
from dfd_train.settings.sections import Count, Device, Frames, Precision, SeveralFaces
from ffpp_prep.format.files import sha256_of
from ffpp_prep.format.frames import BENCHMARK_FRAMES
from ffpp_prep.format.joined import detection_of, open_sets
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.options import Checked, Range
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import duration_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationRequest(Checked):
    """What to evaluate; unset values are the run's own."""

    split: Literal["train", "val", "test", "all"] = "test"
    """train, val, test, or all: every video, whatever its split"""
    data: Path | None = None
    """another prepared set than the run's own"""
    frames: Frames | None = None
    checkpoint: Literal["best", "last"] = "best"
    device: Device = "auto"
    batch_size: Count | None = None
    workers: Annotated[int, Range(ge=0)] | None = None
    multiple_faces: SeveralFaces | None = None
    benchmark: bool = False
    """score what DeepfakeBench scores, into a file of its own"""
    trust: tuple[str, ...] = ()
    """functions that the checkpoint may have called, see `load_model`"""
    for_calibration: bool = False
    """refuse a split without reals or without fakes before anything is scored"""
    precision: Precision | None = None
    """unset: as the run was validated; bf16 after `validate_models` has compared it, into RUN/bf16"""


@dataclass(frozen=True)
class Evaluation:
    """The predictions of a split and where they stand."""

    predictions: pd.DataFrame
    videos: pd.DataFrame
    """every video of the split, those without a prediction included"""
    path: Path
    checkpoint: str
    """one sentence: which checkpoint, of which epoch, and how far an unfinished run came"""
    demonstration: bool
    overlap: Overlap | None
    """what the videos share with those of training; None on the own test split where that is nothing, or it is gone"""


def _require_both_classes(videos: pd.DataFrame, request: EvaluationRequest) -> None:
    for label, name in ((0, "real"), (1, "fake")):
        if not (videos["label"] == label).any():
            raise UserError(
                f"calibration needs real and fake videos: {request.data} has no usable {name} one in {request.split}"
            )


def evaluate(run: Path, request: EvaluationRequest) -> Evaluation:
    """Scores a split with a run's checkpoint and writes `predictions-<split>.parquet`.

    Of another data set it is `predictions-<split>-on-<its folder>.parquet`, of the benchmark's protocol
    `predictions-<split>-deepfakebench…`. The run's own test split is written as `predictions.parquet` too.
    Where the validation predictions of the best checkpoint are at hand, its calibration is kept.

    Raises: FileNotFoundError, UserError for a missing or unfit run, checkpoint or data set; NotANumber.
    """
    folder = RunFolder(run)
    config = folder.read_config()
    device = choose_device(request.device)
    model = load_model({"best": folder.best, "last": folder.last}[request.checkpoint], device, request.trust)
    ready = for_inference(model.detector, config.optimizer.amp, request.precision)
    detector, checked = ready.detector, ""
    if request.precision == "bf16":
        if request.checkpoint != "best":
            raise UserError(
                "precision is bf16: it is compared with fp32 for the best checkpoint only; allowed: fp32"
            )
        checked = require_bf16_checked(kept_checks(run), device.type, run).sentence()
    prepared = open_sets(model.works(request.data))
    other = request.data is not None and prepared.fingerprint != model.facts.fingerprint
    if request.data is None and prepared.fingerprint != model.facts.fingerprint:
        log.warning("%s changed since the run was trained on it", prepared.places)
    check_split(prepared, request.split)
    several = request.multiple_faces or config.data.multiple_faces
    selection = select_videos(with_places(prepared, several), request.split, multiple_faces=several)
    log.info(selection.summary())
    if line := several_line(selection.videos):
        log.info("%s: %s", request.split, line)
    if request.for_calibration:
        _require_both_classes(selection.videos, request)
    if request.benchmark:
        benchmark_sets(selection.videos)  # refused before anything is scored
    prepared = model.crops_of(prepared)
    if request.split == "all" and not other:
        warn_of_known(selection.videos)
    frames = request.frames or (config.data.val_frames if request.split == "val" else config.data.test_frames)
    scoring = Scoring(
        frames,
        request.batch_size or config.data.batch_size,
        default_workers() if request.workers is None else request.workers,
        ready.amp,
        request.benchmark,
    )
    plan = scoring.plan(selection.videos)
    for remark in plan.remarks:
        log.info("%s: %s", request.split, remark)
    log.info(crop_sources(prepared, plan.batches.spots, request.split, config.train.epochs))
    if model.card is not None:
        seconds = seconds_a_crop(detector.network, detector.spec, device, ready.amp) * plan.batches.crops
        log.info(
            "%s: %s crops through the network, about %s",
            run,
            f"{plan.batches.crops:,}",
            duration_text(seconds),
        )
    predictions = score_videos(
        detector.network, detector.spec, prepared, selection.videos, scoring, device=device
    )
    require_numbers(predictions["logit"].to_numpy(), str(model.path))
    demonstration = model.facts.demonstration or prepared.demonstration
    facts = {
        **prediction_facts(model.path, prepared, demonstration, frames),
        "multiple_faces": several,
        "checkpoint": request.checkpoint,
        "checkpoint_epoch": str(model.facts.epoch),
    }
    name = f"{request.split}-deepfakebench" if request.benchmark else request.split
    place = run / "bf16" if request.precision == "bf16" else run  # fp32's numbers stay
    place.mkdir(exist_ok=True)
    path = _path_on(folder, name, prepared.work, place) if other else place / folder.predictions(name).name
    if model.card is not None and request.split == "test" and _is_of(folder.predictions(name), prepared.work):
        # without data of its own, the first set that it is tested on stands for it
        path = place / folder.predictions(name).name
    write_predictions(path, predictions, facts)
    keep_calibration(run)
    calibration = current_calibration(run) if request.checkpoint == "best" else None
    if calibration is not None:  # which validation predictions that were just written may have taught
        predictions = with_deployed_score(predictions, calibration)
        write_predictions(path, predictions, facts)
    if path == folder.predictions("test"):
        write_predictions(run / "predictions.parquet", predictions, facts)
    if model.card is not None:
        said = " ".join((*model.card.sentences(), *_known_data(model.card, prepared, selection.videos)))
        videos = in_split(prepared.videos, request.split)
        return Evaluation(predictions, videos, path, f"{said} {checked}".strip(), demonstration, None)
    checkpoint = checkpoint_sentence(folder, model, request.checkpoint)
    checkpoint += f" Scored in {checked}." if checked else ""
    shared = None
    if other or request.split == "test":
        shared = overlap_with_training(prepared, selection.videos, folder)
        shared = shared if other or (shared and shared.any) else None
    videos = in_split(prepared.videos, request.split)
    return Evaluation(predictions, videos, path, checkpoint, demonstration, shared)


def deepfakebench(request: EvaluationRequest) -> EvaluationRequest:
    """Returns the common benchmark's way of scoring: 32 frames a video, crops of 256 pixels, no video left out."""
    return replace(request, frames=BENCHMARK_FRAMES, benchmark=True, multiple_faces="keep")


def validation_threshold(run: Path, checkpoint: str, aggregation: Aggregation) -> float:
    """Returns the threshold with the highest balanced accuracy on the run's validation predictions.

    Methods that did not train do not choose it either.

    Raises: FileNotFoundError, UserError where they are missing or not of this checkpoint.
    """
    folder = RunFolder(run)
    path = folder.predictions("val")
    if not path.is_file():
        raise FileNotFoundError(
            f"no validation predictions: {path} (`dfd-train evaluate {typed(run)} --split val`)"
        )
    predictions, facts = read_predictions(path)
    if facts.get("checkpoint_sha256") != sha256_of({"best": folder.best, "last": folder.last}[checkpoint]):
        raise UserError(f"{path} is not of the checkpoint {checkpoint}: evaluate --split val with it first")
    left_out = predictions["method"].isin(folder.read_config().data.exclude_methods)
    return best_threshold(predictions[~left_out], aggregation)


def warn_of_known(videos: pd.DataFrame) -> None:
    """Warns of how many of these videos a model has met."""
    chosen = int(videos["split"].isin(("train", "val")).sum())
    log.warning("all: %s of these videos trained the model or chose its checkpoint", f"{chosen:,}")


def check_split(prepared: PreparedSet, split: str) -> None:
    """Raises UserError, with the remedy, if the set has no such split."""
    if in_split(prepared.videos, split).empty:
        counts = prepared.videos["split"].fillna("no split").value_counts().sort_index()
        found = ", ".join(f"{number} in {name}" for name, number in counts.items())
        raise UserError(
            f"{prepared.places} has no video in split {split!r} ({found}): --split all scores every video"
        )


def checkpoint_sentence(folder: RunFolder, model: TrainedModel, checkpoint: str) -> str:
    """Returns in a sentence which checkpoint scores, its epoch, and how far an unfinished run came."""
    stopped = folder.unfinished()
    return f"Checkpoint: {checkpoint}, of epoch {model.facts.epoch}" + (
        f"; the run is unfinished, {stopped}." if stopped else "."
    )


def overlap_with_training(prepared: PreparedSet, videos: pd.DataFrame, folder: RunFolder) -> Overlap | None:
    """Returns what `videos` share with the run's training and validation videos; None where its set is gone."""
    works = [work.resolve() for work in folder.works()]
    try:
        own = prepared if works == [one.work.resolve() for one, _ in prepared.parts] else open_sets(works)
        theirs, ours = detection_of(prepared), detection_of(own)
    except (OSError, UserError) as error:
        log.warning("identities cannot be compared: %s", error)
        return None
    for name in sorted({*theirs, *ours}):
        if not {*theirs.get(name, ("unknown",))} <= {*ours.get(name, ("unknown",))}:
            seen, before = (", ".join(map(str, each.get(name, ("unknown",)))) for each in (theirs, ours))
            log.warning("faces were detected with %s %s here, %s in training", name, seen, before)
    return overlap(own, folder.read_config().data.exclude_methods, prepared, videos)


def _path_on(folder: RunFolder, name: str, work: Path, place_of_tables: Path) -> Path:
    """Returns where predictions on another set go: named after its folder, and those above if that is taken."""
    place = work.resolve()
    taken = "" if folder.is_adopted else folder.work().resolve().name
    for start in range(len(place.parts) - 1, 0, -1):
        known = "-".join(place.parts[start:])
        path = place_of_tables / folder.predictions(f"{name}-on-{known}").name
        if known != taken and (not path.is_file() or _work_of(path) == str(place)):
            return path
    raise UserError(f"{folder.path} has predictions on another {work}: remove {path}")


def _is_of(predictions: Path, work: Path) -> bool:
    """Returns whether a table of predictions is of this prepared set, or there is none yet."""
    return not predictions.is_file() or _work_of(predictions) == str(work.resolve())


def _known_data(card: Card, prepared: PreparedSet, videos: pd.DataFrame) -> Iterator[str]:
    """Yields what to know where a published detector learned from the data sets that it is tested on.

    Their authors' test videos are new to it, though of a kind that it knows; any others may have trained it.
    """
    known = videos["dataset"].astype(str).str.lower().isin(card.known_as)
    tested = officially_tested(prepared, videos)
    for chosen, what in (
        (
            known & ~tested,
            "on which it was TRAINED, and not of its official test split: its figures flatter it",
        ),
        (
            known & tested,
            "of its official test split. It was trained on the rest (in-set): expect less elsewhere",
        ),
    ):
        names = ", ".join(sorted(set(videos["dataset"][chosen])))
        if names:
            yield f"{int(chosen.sum()):,} of these videos are of {names}, {what}."


def _work_of(predictions: Path) -> str:
    """Returns the prepared set that a table of predictions is of."""
    return read_prediction_facts(predictions).get("work", "")
