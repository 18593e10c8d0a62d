"""One file to its scores: faces as they come, in batches across frames through every model. Nothing is judged here."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics.scores import Floats
from dfd_train.predict.face_checks import WatchedFace
from dfd_train.predict.faces import Advance, FoundFace, ImageFaces, Rates, VideoFaces
from dfd_train.predict.finder import CONFIDENCE, FaceFinder
from dfd_train.predict.inputs import Input, require_file
from dfd_train.predict.scorer import BATCH, Scorer
from dfd_train.predict.thumbs import Thumbs
from dfd_train.predict.worst import WorstFrames
from ffpp_prep.format.geometry import CropGeometry, Image

BATCH_BYTES = 64 << 20
NO_FRAME = "no frame could be decoded"

COLUMNS = ("frame", "time", "track", "confidence", "x1", "y1", "x2", "y2", "followed", "human")


@dataclass(frozen=True)
class Seconds:
    """The seconds that each part of an analysis took."""

    decode: float
    detect: float
    network: float
    total: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(
            self.decode + other.decode,
            self.detect + other.detect,
            self.network + other.network,
            self.total + other.total,
        )


@dataclass(frozen=True)
class Span:
    """A part of a video."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Media:
    """What the file holds, as displayed."""

    kind: str
    """video or image"""
    width: int
    height: int
    fps: float
    duration: float
    """seconds, the last frame's included, taken to be as long as a mean one; 0 for an image"""
    frames: int
    frames_looked_at: int
    """for faces, by the detector"""
    frames_scored: int
    """in which at least one face was scored; until version 3 of result.json what `frames_chosen` is now"""
    detector: str = "ssd"
    """which one found the faces; results of before there were two don't say"""
    second_look: bool = False
    """the detector of the model's data found none, and this one looked once more"""
    threshold: float = CONFIDENCE
    """of the detector, above which there is a face"""
    shots: int = 1
    """stretches of film between two cuts"""
    remark: str = ""
    """what the file says that can't be true, and what was taken in its place; mostly empty"""
    frames_chosen: int = 0
    """to be scored, whether they showed a face or not; results of before version 3 don't say"""


@dataclass(frozen=True)
class Analysis:
    """What was found in one file."""

    media: Media
    faces: pd.DataFrame
    """one row a face and frame, by time: COLUMNS (`human`: how surely the judge sees a human face in a face's first
    looks, else NaN), `movement` (`Movement.spread` of the row's face, NaN where it was seen too rarely to say),
    `flatness` (`WatchedFace.flatness` of it), `logit` (the mean of the models') and `logit_0`, `logit_1`, … (each
    model's); NaN in frames that were looked at, but not scored"""
    best_confidence: float
    """of the detector, the highest of all candidates, those below the threshold included"""
    error: str
    """what could not be decoded of a file that broke off; else empty"""
    seconds: Seconds
    thumbs: Thumbs
    chosen: Floats = field(default_factory=lambda: np.zeros(0))
    """times of the frames that were to be scored, (N,) float64 seconds, rising: those without a face too"""
    worst: WorstFrames = field(default_factory=WorstFrames)


def analyse(
    file: Input,
    scorers: Sequence[Scorer],
    finder: FaceFinder,
    rates: Rates,
    advance: Advance = lambda at, duration: None,
) -> Analysis:
    """Finds, follows and scores the faces of one file; where the finder sees none, another one looks once more.

    advance: called with (seconds of video done, seconds of video announced) as it goes.
    Raises: UserError where the file can't be read; NotANumber where a model gives no number.
    """
    require_file(file.path)
    found = _analyse(file, scorers, finder, rates, advance)
    second = finder.second() if found.faces.empty else None
    if second is None:
        return found
    again = _analyse(file, scorers, second, rates, advance)
    if again.faces.empty:
        return found
    return replace(again, media=replace(again.media, second_look=True), seconds=found.seconds + again.seconds)


def _analyse(
    file: Input, scorers: Sequence[Scorer], finder: FaceFinder, rates: Rates, advance: Advance
) -> Analysis:
    started = time.perf_counter()
    source = ImageFaces(file.path, finder) if file.is_image else VideoFaces(file.path, finder, rates, advance)
    batch, thumbs, worst = _Batch(scorers), Thumbs(), WorstFrames()
    rows: list[tuple[float, ...]] = []

    def score() -> None:
        for index, logits, crop in batch.run():
            rows[index] += (float(np.mean(logits)), *logits)
            seen = int(rows[index][2]), crop, rows[index][1], rows[index][-len(scorers) - 1]
            thumbs.add(*seen)
            worst.add(*seen)

    watched: defaultdict[int, WatchedFace] = defaultdict(WatchedFace)
    for face in source:
        human = watched[face.track].look(face)
        rows.append(
            (face.frame, face.time, face.track, face.confidence, *face.box, float(face.followed), human)
        )
        if face.cut is not None:
            batch.add(len(rows) - 1, face)
            if batch.full:
                score()
    score()
    if not source.frames:
        raise UserError(f"{file.path.name}: {NO_FRAME}" + f" ({source.error})" * bool(source.error))
    faces = _table(rows, len(scorers))
    spreads = {track: face.movement.spread for track, face in watched.items()}
    tones = {track: face.flatness for track, face in watched.items()}
    faces = faces.assign(
        movement=faces["track"].map(spreads).astype(np.float64),
        flatness=faces["track"].map(tones).astype(np.float64),
    )
    media = Media(
        kind="image" if file.is_image else "video",
        width=source.size[0],
        height=source.size[1],
        fps=source.fps,
        duration=source.last_time + (1 / source.fps if source.fps else 0.0),
        frames=source.frames,
        frames_looked_at=source.frames_looked_at,
        frames_scored=int(faces.loc[faces["logit"].notna(), "frame"].nunique()),
        frames_chosen=len(source.chosen),
        detector=finder.name,
        threshold=finder.threshold,
        shots=source.shots,
        remark=source.remark,
    )
    return Analysis(
        media=media,
        faces=faces,
        best_confidence=source.best_confidence,
        error=source.error,
        seconds=Seconds(source.decode_s, source.detect_s, batch.seconds, time.perf_counter() - started),
        thumbs=thumbs,
        worst=worst,
        chosen=np.array(source.chosen, np.float64),
    )


@dataclass
class _Batch:
    """Crops that wait for the networks, from however many frames; cut once for models that see the same."""

    scorers: Sequence[Scorer]
    seconds: float = 0.0
    _rows: list[int] = field(default_factory=list)
    _crops: dict[CropGeometry, list[Image]] = field(default_factory=dict)
    _bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self._rows) >= BATCH or self._bytes > BATCH_BYTES

    def add(self, row: int, face: FoundFace) -> None:
        assert face.cut is not None
        self._rows.append(row)
        for geometry in {scorer.facts.geometry for scorer in self.scorers}:
            crop = face.cut(geometry)
            self._crops.setdefault(geometry, []).append(crop)
            self._bytes += crop.nbytes

    def run(self) -> list[tuple[int, tuple[float, ...], Image]]:
        """Returns the row, logits of the models and crop of each face that waits."""
        if not self._rows:
            return []
        started = time.perf_counter()
        logits = [scorer.logits(self._crops[scorer.facts.geometry]).tolist() for scorer in self.scorers]
        self.seconds += time.perf_counter() - started
        crops = self._crops[self.scorers[0].facts.geometry]
        done = list(zip(self._rows, zip(*logits, strict=True), crops, strict=True))
        self._rows, self._crops, self._bytes = [], {}, 0
        return done


def _table(rows: list[tuple[float, ...]], models: int) -> pd.DataFrame:
    columns = [*COLUMNS, "logit", *(f"logit_{i}" for i in range(models))]
    nothing = (float("nan"),) * (models + 1)
    table = pd.DataFrame(
        [(*row, *nothing)[: len(columns)] for row in rows], columns=columns, dtype=np.float64
    )
    return table.astype({"frame": np.int64, "track": np.int64, "followed": bool})
