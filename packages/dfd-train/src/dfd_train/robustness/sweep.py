"""Scoring a run under every condition; what is scored already is kept, so that the same command goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import torch

from dfd_train.calibration.kept import current_calibration
from dfd_train.calibration.precision import kept_checks, require_bf16_checked
from dfd_train.data.loader import default_workers
from dfd_train.data.selection import select_videos
from dfd_train.data.several import places_of, with_places
from dfd_train.data.spec import CropRule
from dfd_train.engine.device import choose_device
from dfd_train.engine.evaluate import check_split, warn_of_known
from dfd_train.engine.record import prediction_facts
from dfd_train.engine.score import Scoring, require_numbers, score_videos
from dfd_train.errors import UserError
from dfd_train.metrics import Summary, summarize
from dfd_train.models.inference import for_inference
from dfd_train.robustness.conditions import Condition, Sweep
from dfd_train.robustness.differences import Differences, differences
from dfd_train.robustness.films import has_codec, recoded_set, remove_films
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import kept_predictions, write_predictions
from dfd_train.settings.sections import Count, Device, Frames, Precision
from ffpp_prep.format.joined import open_sets
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.options import Checked, Range
from ffpp_prep.text.bars import bar
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted
from ffpp_prep.video import is_there

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepRequest(Checked):
    """What to score; unset values are the run's own."""

    split: Literal["train", "val", "test", "all"] = "test"
    """train, val, test, or all: every video, whatever its split"""
    data: Path | None = None
    frames: Frames | None = None
    device: Device = "auto"
    batch_size: Count | None = None
    workers: Annotated[int, Range(ge=0)] | None = None
    trust: tuple[str, ...] = ()
    """functions that the checkpoint may have called, see `load_model`"""
    detect_every: Count | None = None
    """of whole films; unset: as the prepared set's faces were detected"""
    jobs: Count = 1
    """processes that detect"""
    keep_films: bool = False
    precision: Precision | None = None
    """unset: as the run was validated; bf16 after `validate_models` has compared it, into RUN/bf16"""


@dataclass(frozen=True)
class SweepResult:
    """A run's numbers under each condition."""

    run: str
    demonstration: bool
    summaries: dict[Condition, Summary]
    remarks: tuple[str, ...] = ()
    """of a published detector, for the page"""
    differences: Differences = field(default_factory=dict)
    """of each changed condition to the clean score, on the same videos"""


def score_run(run: Path, sweeps: Sequence[Sweep], request: SweepRequest) -> SweepResult:
    """Scores a split with a run's best checkpoint under every condition of the sweeps.

    Each condition's predictions stand in RUN/robustness; those of this checkpoint and data are not made again.

    Raises: FileNotFoundError, UserError for a missing or unfit run, checkpoint or data set; NotANumber.
    """
    opened, folder = _opened(run, sweeps, request), RunFolder(run)
    predicted: dict[str, pd.DataFrame] = {}
    for condition in bar(opened.conditions, run.resolve().name, unit="condition"):
        if condition.name not in predicted:
            path, scoring, facts = opened.kept_as(condition)
            predictions = kept_predictions(path, facts)
            if predictions is None:
                films = path.with_suffix("")
                own = _without_several(opened.videos) if condition.recodings else opened.videos
                source = _source(opened.prepared, own, condition, films, request)
                rows = _with_faces(source.videos) if condition.recodings else own
                predictions = _score(opened.model, source, rows, scoring, opened.device)
                write_predictions(path, predictions, facts)
                if not request.keep_films:
                    remove_films(films)
            predicted[condition.name] = predictions
    clean, *wanted = opened.conditions
    tables = {condition: predicted[condition.name] for condition in wanted}
    summaries = {condition: summarize(table, folder.pooling) for condition, table in tables.items()}
    apart = differences(tables, predicted[clean.name], current_calibration(run), folder.pooling)
    name = printable(run.resolve().name)
    return SweepResult(name, opened.demonstration, summaries, folder.remarks, apart)


def conditions_left(run: Path, sweeps: Sequence[Sweep], request: SweepRequest) -> tuple[int, int]:
    """Returns how many conditions `score_run` would score, and of how many; writes nothing.

    Raises: as `score_run`.
    """
    opened = _opened(run, sweeps, request)
    kept_as = {condition.name: opened.kept_as(condition) for condition in opened.conditions}
    left = sum(kept_predictions(path, facts) is None for path, _, facts in kept_as.values())
    return left, len(kept_as)


@dataclass(frozen=True)
class _Opened:
    """A run with all that its conditions need.

    conditions: the unchanged one first. place: the folder of their predictions.
    """

    model: TrainedModel
    prepared: PreparedSet
    videos: pd.DataFrame
    plain: Scoring
    conditions: list[Condition]
    place: Path
    device: torch.device
    request: SweepRequest

    @property
    def demonstration(self) -> bool:
        return self.model.facts.demonstration or self.prepared.demonstration

    def kept_as(self, condition: Condition) -> tuple[Path, Scoring, dict[str, str]]:
        """Returns the file of a condition's predictions, how they are made, and what the file must say of itself."""
        scoring = _scoring(self.plain, condition)
        told = prediction_facts(self.model.path, self.prepared, self.demonstration, scoring.frames_per_video)
        facts = {**told, "videos": str(len(self.videos))}
        if condition.recodings:
            detect_every, geometry = self.request.detect_every, self.prepared.geometry
            facts["films"] = f"{condition.recodings} {detect_every} {geometry}"
        return self.place / self.request.split / f"{condition.name}.parquet", scoring, facts


def _opened(run: Path, sweeps: Sequence[Sweep], request: SweepRequest) -> _Opened:
    folder = RunFolder(run)
    config = folder.read_config()
    device = choose_device(request.device)
    model = load_model(folder.best, device, request.trust)
    ready = for_inference(model.detector, config.optimizer.amp, request.precision)
    model = replace(model, detector=ready.detector)
    place = run / "robustness"
    if request.precision == "bf16":
        require_bf16_checked(kept_checks(run), device.type, run)
        place = run / "bf16" / "robustness"
    try:
        prepared = open_sets(model.works(request.data))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; if the prepared set is elsewhere: --data WORK") from None
    check_split(prepared, request.split)
    prepared = model.crops_of(prepared)
    several = config.data.multiple_faces
    videos = select_videos(with_places(prepared, several), request.split, multiple_faces=several).videos
    if request.split == "all" and prepared.fingerprint == model.facts.fingerprint:
        warn_of_known(videos)
    plain = Scoring(
        request.frames or config.data.test_frames,
        request.batch_size or config.data.batch_size,
        default_workers() if request.workers is None else request.workers,
        ready.amp,
    )
    wanted = [condition for sweep in sweeps for condition in sweep.conditions()]
    if isinstance(prepared.geometry, CropRule):
        wanted = [condition for condition in wanted if condition.margin is None]
        log.warning("%s has crops of its own kind: no sweep over the crop margin", run)
    wanted = _without_unreachable(wanted, prepared, videos)
    conditions = [Condition("unchanged", 0.0), *wanted]
    return _Opened(model, prepared, videos, plain, conditions, place, device, request)


def _scoring(plain: Scoring, condition: Condition) -> Scoring:
    return Scoring(
        condition.frames or plain.frames_per_video,
        plain.batch_size,
        plain.workers,
        plain.amp,
        corruptions=condition.corruptions,
    )


def _source(
    prepared: PreparedSet, videos: pd.DataFrame, condition: Condition, films: Path, request: SweepRequest
) -> PreparedSet:
    """Returns the set whose crops are scored under a condition."""
    if condition.recodings:
        return recoded_set(prepared, videos, condition.recodings, films, request.detect_every, request.jobs)
    return prepared if condition.margin is None else prepared.with_margin(condition.margin)


def _without_several(videos: pd.DataFrame) -> pd.DataFrame:
    """Returns films whose best face is to be scored: faces that are found again aren't marked. Raises: UserError."""
    several = videos.index.isin(places_of(videos))
    if several.any():
        log.warning(
            "%s of several faces left out: in films encoded again none is marked",
            counted(int(several.sum()), "film"),
        )
    if several.all():
        raise UserError(
            "--faithful: all films show several faces, of which the touched one isn't looked for again"
        )
    return videos[~several]


def _with_faces(videos: pd.DataFrame) -> pd.DataFrame:
    """Returns films in which a face was found again. Raises: UserError if there is none."""
    found = videos[videos["status"].isin(USABLE) & (videos["frames_decoded"] > 0)]
    if len(found) < len(videos):
        lost = len(videos) - len(found)
        log.warning("no face was found again in %s of %s", f"{lost:,}", counted(len(videos), "film"))
    if found.empty:
        raise UserError(f"no face was found again in any of {counted(len(videos), 'film')}")
    return found


def _score(
    model: TrainedModel, source: PreparedSet, videos: pd.DataFrame, scoring: Scoring, device: torch.device
) -> pd.DataFrame:
    detector = model.detector
    found = score_videos(detector.network, detector.spec, source, videos, scoring, device=device)
    require_numbers(found["logit"].to_numpy(), str(model.path))
    return found


def _without_unreachable(
    conditions: list[Condition], prepared: PreparedSet, videos: pd.DataFrame
) -> list[Condition]:
    """Leaves out the sweep of margins, and says so, where there are no videos to cut them from.

    Raises: UserError where nothing else is asked for.
    """
    if any(recoding.codec == "libx265" for c in conditions for recoding in c.recodings) and not has_codec(
        "libx265"
    ):
        log.warning("no sweep over H.265: this build of FFmpeg can't write it")
        conditions = [c for c in conditions if all(recoding.codec != "libx265" for recoding in c.recodings)]
    missing = next((path for path in videos["path"] if not is_there(Path(path))), None)
    if missing is None:
        return conditions
    reason = f"{prepared.work}: the videos are not there ({missing})"
    if any(condition.recodings for condition in conditions):
        raise UserError(f"--faithful encodes whole films; {reason}")
    if not any(condition.margin is not None for condition in conditions):
        return conditions
    left = [condition for condition in conditions if condition.sweep != "margin"]
    if not left:
        raise UserError(f"no sweep left: another crop margin needs the videos; {reason}")
    log.warning("%s: no sweep over the crop margin", reason)
    return left
