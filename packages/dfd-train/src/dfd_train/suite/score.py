"""A run's scores on every set of a suite, by every protocol; what is scored already is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd

from dfd_train.calibration.precision import kept_checks, require_bf16_checked
from dfd_train.data.cuts import cut
from dfd_train.data.loader import default_workers
from dfd_train.data.overlap import Overlap
from dfd_train.data.selection import in_split, select_videos
from dfd_train.data.several import with_places
from dfd_train.engine.device import choose_device
from dfd_train.engine.evaluate import checkpoint_sentence, overlap_with_training, validation_threshold
from dfd_train.engine.record import prediction_facts
from dfd_train.engine.score import Scoring, require_numbers, score_videos
from dfd_train.errors import UserError
from dfd_train.metrics import Intervals, Summary, estimate_intervals, summarize
from dfd_train.metrics.benchmark import benchmark_sets
from dfd_train.models.inference import for_inference
from dfd_train.report.tables import Coverage
from dfd_train.runs.checkpoint import load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.predictions import kept_predictions, write_predictions
from dfd_train.runs.trained_on import run_geometry
from dfd_train.settings.sections import Count, Device, Precision
from dfd_train.suite.files import file_name
from dfd_train.suite.plan import Protocol, Suite, SuiteSet
from dfd_train.suite.standing import Learned, Standing
from ffpp_prep.format.frames import BENCHMARK_FRAMES
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.format.joined import detection_of, open_sets
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.options import Checked, Range
from ffpp_prep.text.bars import bar
from ffpp_prep.text.printable import printable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SuiteRequest(Checked):
    """How a suite is scored; unset values are the run's own."""

    checkpoint: Literal["best", "last"] = "best"
    device: Device = "auto"
    batch_size: Count | None = None
    workers: Annotated[int, Range(ge=0)] | None = None
    trust: tuple[str, ...] = ()
    """functions that the checkpoint may have called, see `load_model`"""
    precision: Precision | None = None
    """unset: as the run was validated; bf16 after `validate_models` has compared it, into RUN/bf16"""


@dataclass(frozen=True)
class SetNumbers:
    """A set's numbers by one protocol."""

    name: str
    protocol: str
    work: Path
    standing: Standing
    coverage: Coverage
    summary: Summary
    ends: Intervals
    threshold: float
    crops: str
    """how they derive from boxes"""
    datasets: tuple[str, ...]
    overlap: Overlap | None
    predictions: Path


@dataclass(frozen=True)
class LeftOut:
    """A set that has no numbers by a protocol, and why."""

    name: str
    protocol: str
    reason: str
    missing: bool
    """it isn't on the disk; else something is wrong with it"""


@dataclass(frozen=True)
class SuiteResult:
    """A run's numbers on a suite."""

    run: str
    suite: Suite
    checkpoint: str
    """which one scored, in a sentence"""
    trained_crops: str
    """how those derived from boxes that the run learned from; empty for a published detector"""
    remarks: tuple[str, ...]
    """of a published detector, for the page"""
    demonstration: bool
    scored: tuple[SetNumbers, ...]
    left_out: tuple[LeftOut, ...]


def score_suite(run: Path, suite: Suite, name: str, root: Path, request: SuiteRequest) -> SuiteResult:
    """Scores a run, or a published detector, on the sets of a suite that are there, by every protocol.

    Predictions stand in RUN/suites/<name>; those of this checkpoint, data and protocol are not made again.
    A set that isn't below `root`, or that fails, is left out and told of, so that the others are scored.

    Raises: FileNotFoundError, UserError for a missing or unfit run, and where no set can be scored; NotANumber.
    """
    scorer = _Scorer(run, suite, name, root, request)
    scored: list[SetNumbers] = []
    left_out: list[LeftOut] = []
    wanted = [(one, protocol) for one in suite.sets for protocol in suite.protocols]
    for one, protocol in bar(wanted, printable(run.resolve().name), unit="score"):
        try:
            scored.append(scorer.score(one, protocol))
        except FileNotFoundError as error:
            left_out.append(LeftOut(one.name, protocol.name, _line(error), missing=True))
        except (OSError, UserError) as error:
            left_out.append(LeftOut(one.name, protocol.name, _line(error), missing=False))
            log.warning("%s, %s: %s", one.name, protocol.name, _line(error))
    if not scored:
        raise UserError(
            f"no set of {suite.title} can be scored, such as {left_out[0].name}: {left_out[0].reason}"
        )
    remarks = scorer.folder.remarks
    return SuiteResult(
        printable(run.resolve().name), suite, scorer.checkpoint, scorer.trained_crops, remarks,
        scorer.demonstration, tuple(scored), tuple(left_out),
    )  # fmt: skip


class _Scorer:
    """A loaded run and what it scores a suite's sets with."""

    def __init__(self, run: Path, suite: Suite, name: str, root: Path, request: SuiteRequest) -> None:
        self.folder, self._root, self._request = RunFolder(run), root, request
        self._config = self.folder.read_config()
        self._device = choose_device(request.device)
        path = {"best": self.folder.best, "last": self.folder.last}[request.checkpoint]
        model = load_model(path, self._device, request.trust)
        ready = for_inference(model.detector, self._config.optimizer.amp, request.precision)
        self._model, self._amp = replace(model, detector=ready.detector), ready.amp
        self._place = run / "suites" / name
        self.checkpoint = "" if model.card else checkpoint_sentence(self.folder, model, request.checkpoint)
        if request.precision == "bf16":
            if request.checkpoint != "best":
                raise UserError(
                    "precision is bf16: it is compared with fp32 for the best checkpoint only; allowed: fp32"
                )
            said = require_bf16_checked(kept_checks(run), self._device.type, run).sentence()
            self.checkpoint = f"{self.checkpoint} Scored in {said}.".strip()
            self._place = run / "bf16" / "suites" / name
        self._thresholds = {
            protocol.name: validation_threshold(run, request.checkpoint, protocol.aggregation)
            if protocol.threshold == "validation"
            else protocol.threshold
            for protocol in suite.protocols
        }
        self.demonstration = model.facts.demonstration
        self.trained_crops = "" if model.card else _crops(run_geometry(run))
        self._own = None if model.card else self._opened_own()
        self._learned = (
            Learned.of_card(model.card)
            if model.card
            else Learned.of_run(self.folder, model.facts.fingerprint, self._own)
        )
        self._overlaps: dict[str, Overlap | None] = {}

    def score(self, one: SuiteSet, protocol: Protocol) -> SetNumbers:
        """Scores one set by one protocol. Raises: FileNotFoundError where it isn't there; OSError, UserError."""
        prepared, videos = self._find(one)
        benchmark = protocol.choice == "deepfakebench"
        several = protocol.multiple_faces or ("keep" if benchmark else self._config.data.multiple_faces)
        videos = with_places(prepared, several).loc[videos.index]
        selection = select_videos(videos, one.split, multiple_faces=several)
        if benchmark:
            benchmark_sets(selection.videos)  # refuses several compressions
        cropped = self._cropped(prepared, protocol)
        frames = protocol.frames or (BENCHMARK_FRAMES if benchmark else self._config.data.test_frames)
        scoring = Scoring(
            frames,
            self._request.batch_size or self._config.data.batch_size,
            default_workers() if self._request.workers is None else self._request.workers,
            self._amp,
            benchmark,
        )
        self.demonstration = self.demonstration or prepared.demonstration
        facts = {
            **prediction_facts(
                self._model.path, cropped, self._model.facts.demonstration or prepared.demonstration, frames
            ),
            "checkpoint": self._request.checkpoint,
            "checkpoint_epoch": str(self._model.facts.epoch),
            "part": json.dumps([one.split, one.datasets, one.methods, one.compression, several]),
            "choice": protocol.choice,
            "crops": _crops(cropped.geometry),
        }
        path = self._place / f"{file_name(one.name)}-{file_name(protocol.name)}.parquet"
        predictions = kept_predictions(path, facts)
        if predictions is None:
            detector = self._model.detector
            predictions = score_videos(
                detector.network, detector.spec, cropped, selection.videos, scoring, device=self._device
            )
            require_numbers(predictions["logit"].to_numpy(), str(self._model.path))
            write_predictions(path, predictions, facts)
        threshold = self._thresholds[protocol.name]
        overlap = self._overlap(one, prepared, videos)
        return SetNumbers(
            one.name, protocol.name, prepared.work, self._learned.standing(prepared, videos, overlap),
            Coverage.of(videos, predictions),
            summarize(predictions, protocol.aggregation, threshold),
            estimate_intervals(predictions, protocol.aggregation, threshold),
            threshold, facts["crops"],
            tuple(sorted(set(videos["dataset"].dropna().astype(str)))), overlap, path,
        )  # fmt: skip

    def _overlap(self, one: SuiteSet, prepared: PreparedSet, videos: pd.DataFrame) -> Overlap | None:
        """Returns what a set shares with what a run learned from, looked for once for all protocols."""
        if self._model.card is None and one.name not in self._overlaps:
            self._overlaps[one.name] = overlap_with_training(prepared, videos, self.folder)
        return self._overlaps.get(one.name)

    def _opened_own(self) -> PreparedSet | None:
        try:
            return open_sets(self.folder.works())
        except (OSError, UserError) as error:
            log.warning("what the run learned from can't be opened: %s", error)
            return None

    def _find(self, one: SuiteSet) -> tuple[PreparedSet, pd.DataFrame]:
        """Returns the first place that has such videos, and these. Raises: FileNotFoundError saying what each lacks."""
        reasons: list[str] = []
        for prepared in self._places(one, reasons):
            videos, lack = _part(prepared.videos, one)
            if not lack:
                return prepared, videos
            reasons.append(f"{prepared.work} has no video {lack}")
        raise FileNotFoundError(
            "; ".join(reasons) or "no folder is named, and the run's own set is not there"
        )

    def _places(self, one: SuiteSet, reasons: list[str]) -> Iterator[PreparedSet]:
        for name in one.work:
            work = self._root / name
            if (work / "videos.parquet").is_file():
                yield load_prepared(work)
            else:
                reasons.append(f"no prepared set {work}")
        if self._own is not None and (one.datasets or not one.work):  # else any set would do for any name
            yield self._own

    def _cropped(self, prepared: PreparedSet, protocol: Protocol) -> PreparedSet:
        """Returns the set with the crops that a protocol wants, or those that the model is used to."""
        if not protocol.cuts:
            return self._model.crops_of(prepared)
        if self._model.card is not None:
            raise UserError(
                f"{self.folder.path} is an adopted detector and cuts crops of its own: no other margin"
            )
        if protocol.margin is not None and "as-is" in detection_of(prepared).get("faces", ()):
            raise UserError(
                f"{prepared.work}: its pictures are face crops already (--faces as-is), and nothing is around them: "
                "no other margin"
            )
        stored = prepared.geometry
        align = stored.align if protocol.align is None else protocol.align
        size = stored.size if protocol.size is None else protocol.size
        margin = stored.margin if protocol.margin is None else protocol.margin
        size = size or (self._model.detector.spec.size if align else 0)
        return prepared.cut_as(CropGeometry(margin, stored.border, size, align), cut)


def _part(videos: pd.DataFrame, one: SuiteSet) -> tuple[pd.DataFrame, str]:
    """Returns the videos of a set's part, and what it lacks to be that part, in words."""
    part = in_split(videos, one.split)
    there = "" if len(part) == len(videos) else f" in split {one.split!r}"
    lack = "" if len(part) else there.strip()
    for column, wanted in (
        ("dataset", one.datasets),
        ("compression", (one.compression,) if one.compression else ()),
    ):
        gone = [name for name in wanted if not (part[column] == name).any()]
        lack = lack or (f"of {column} {', '.join(gone)}{there}" if gone else "")
        part = part[part[column].isin(wanted)] if wanted else part
    gone = [name for name in one.methods if not ((part["method"] == name) & (part["label"] == 1)).any()]
    lack = lack or (f"of method {', '.join(gone)}{there}" if gone else "")
    return (part[part["method"].isin(one.methods) | (part["label"] == 0)] if one.methods else part), lack


def _crops(geometry: CropGeometry) -> str:
    """Says how crops derive from boxes."""
    return ", ".join(
        [f"margin {geometry.margin:g}"]
        + ([f"aligned to {geometry.align}"] if geometry.align else [])
        + ([f"{geometry.size} pixels"] if geometry.size else [])
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
