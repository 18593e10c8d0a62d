"""The faces of one file, found by ffpp-prep's detector and followed.

Frames stream through; only those between two detections are held, and only where they are to be scored.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Annotated

from dfd_train.data.cuts import cut
from dfd_train.predict.finder import CONFIDENCE, FaceFinder
from dfd_train.predict.following import Follower
from dfd_train.predict.shots import ShotChanges
from ffpp_prep.detector import Detections
from ffpp_prep.format.geometry import CropGeometry, Image
from ffpp_prep.one_video.tracks import TrackedBox, between
from ffpp_prep.options import Checked, Range
from ffpp_prep.video import Frame, FrameTimes, PyAVReader
from ffpp_prep.video.animation import AnimationReader, is_animated
from ffpp_prep.video.photographs import read_image

__all__ = [
    "CONFIDENCE",
    "FaceFinder",
    "Footage",
    "FoundFace",
    "ImageFaces",
    "Rates",
    "VideoFaces",
]

HELD_BYTES = 256 << 20  # frames waiting for the next detection; 4K ones are looked at more often
FEWEST_SCORED = 12  # frames of a video, where it has them: the thesis's test takes as many
NESTED = 0.8  # of a box inside another one: both are of one head
LOST_AFTER_S = 1.5  # a face that was not seen for so long gets a new number

Advance = Callable[[float, float], None]


Rate = Annotated[float, Range(gt=0)] | None


@dataclass(frozen=True)
class Rates(Checked):
    """How many frames a second are looked at for faces, and how many are scored; None: every frame."""

    detect: Rate = 2.0
    score: Rate = 2.0

    def scored_in(self, footage: Footage) -> float | None:
        """Returns the rate of scoring for a video: short ones are scored as often as in evaluation."""
        if not self.score:
            return None
        return max(self.score, FEWEST_SCORED / footage.seconds(FEWEST_SCORED / self.score))


@dataclass(frozen=True)
class FoundFace:
    """One face in one frame."""

    frame: int
    """from 0, in display order"""
    time: float
    """seconds from the video's start"""
    track: int
    """the same face over time, from 0"""
    confidence: float
    """the detector's score"""
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels of the displayed frame"""
    followed: bool
    """not detected in this frame, but between two in which it was"""
    cut: Callable[[CropGeometry], Image] | None
    """the crop around it; None where the frame is not to be scored. To be called before the next face is taken."""


class Footage:
    """The frames of a video with their times; iterate once, inside `with`.

    Raises: UserError (ffpp_prep's OpenFailed) at construction, where the file is no readable video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = _reader(path)
        info = self._reader.info
        self.fps, self.duration, self._unit = info.fps, info.duration, info.unit
        self.size = (info.width, info.height)
        self.first_pts = 0
        self._times = FrameTimes(info)

    def __enter__(self) -> Footage:
        self._reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__(kind, value, trace)

    def __iter__(self) -> Iterator[tuple[Frame, float]]:
        for frame in self._reader:
            if frame.index == 0:
                self.first_pts = frame.pts
            yield frame, self._times.of(frame)

    def seconds(self, most: float) -> float:
        """Returns how long it is, whatever it says; looked up to `most` seconds, with a reader that is read
        for this alone.
        """
        with _reader(self._path) as reader:
            return reader.seconds(most)

    @property
    def start(self) -> float:
        """When the first frame is shown, in seconds of the container's clock; sound may begin earlier."""
        return self.first_pts * self._unit

    @property
    def rate(self) -> float:
        """The nominal one, in frames a second; never 0."""
        return self._times.rate

    @property
    def error(self) -> str:
        """What could not be decoded; known at the end."""
        return self._reader.error

    @property
    def remark(self) -> str:
        """What of the file's own statements is not followed; known at the end."""
        return "; ".join(filter(None, (self._reader.remark, self._times.remark)))


class VideoFaces:
    """Iterate once over the faces of a video, in order of time; afterwards the attributes say how it went.

    advance: called at every detection with the seconds of video done and announced (0 where unknown).
    Raises: UserError (ffpp_prep's OpenFailed) at construction, where the file is no readable video.
    """

    def __init__(self, path: Path, finder: FaceFinder, rates: Rates, advance: Advance) -> None:
        self._footage = Footage(path)
        self._finder, self._advance = finder, advance
        self.fps, self.duration, self.size = self._footage.fps, self._footage.duration, self._footage.size
        self._detect_clock = _Clock(rates.detect)
        self._score_clock = _Clock(rates.scored_in(self._footage))
        self.frames = self.frames_looked_at = 0
        self.chosen = array("d")
        """times of the frames that are to be scored, whether they show a face or not"""
        self.shots = 1
        self.best_confidence = self.last_time = 0.0
        self.decode_s = self.detect_s = 0.0
        self.error = self.remark = ""

    def __iter__(self) -> Iterator[FoundFace]:
        follower = Follower(max_gap=max(5, round(LOST_AFTER_S * (self.fps or 25.0))))
        changes = ShotChanges()
        before: list[TrackedBox] = []
        held: list[_Held] = []
        with self._footage:
            size = (0, 0)
            for frame in self._decoded():
                detect, score = self._detect_clock.due(self.last_time), self._score_clock.due(self.last_time)
                new_shot = self._begins_shot(frame, changes)
                if new_shot or frame.size != size:  # boxes are not filled in between two shots or sizes
                    yield from self._far_end(before, held, follower)
                    before, held, size, detect = [], [], frame.size, True
                if new_shot:
                    follower.cut()
                    self.shots += 1
                    score = True  # of a short shot every look counts
                if score:
                    self.chosen.append(self.last_time)
                if detect or _too_many(held, self.size):
                    picture = self._picture(frame)
                    after = follower.step(frame.index, self._look(frame.index, picture), picture)
                    yield from self._between(before, after, held)
                    yield from _seen(after, self.last_time, picture if score else None)
                    before, held = after, []
                elif score:
                    held.append(_Held(frame, self.last_time))
            yield from self._far_end(before, held, follower)
            self.error, self.remark = self._footage.error, self._footage.remark

    def _decoded(self) -> Iterator[Frame]:
        frames = iter(self._footage)
        while True:
            started = time.perf_counter()
            pair = next(frames, None)
            self.decode_s += time.perf_counter() - started
            if pair is None:
                return
            frame, self.last_time = pair
            self.frames = frame.index + 1
            yield frame

    def _begins_shot(self, frame: Frame, changes: ShotChanges) -> bool:
        started = time.perf_counter()
        new_shot = changes.step(frame)
        self.decode_s += time.perf_counter() - started
        return new_shot

    def _picture(self, frame: Frame) -> Image:
        started = time.perf_counter()
        picture = frame.rgb()
        self.decode_s += time.perf_counter() - started
        self.size = (picture.shape[1], picture.shape[0])
        return picture

    def _look(self, frame: int, picture: Image) -> list[TrackedBox]:
        started = time.perf_counter()
        detections = self._finder.detect(picture)
        self.detect_s += time.perf_counter() - started
        self.frames_looked_at += 1
        self.best_confidence = max(self.best_confidence, float(detections.scores[0]))
        self._advance(self.last_time, self.duration)
        return _faces(frame, detections, self._finder.threshold)

    def _far_end(
        self, before: list[TrackedBox], held: list[_Held], follower: Follower
    ) -> Iterator[FoundFace]:
        """Looks at the last frame of what was followed."""
        if held:
            end = held.pop()
            picture = self._picture(end.frame)
            after = follower.step(end.frame.index, self._look(end.frame.index, picture), picture)
            yield from self._between(before, after, held)
            yield from _seen(after, end.time, picture)

    def _between(
        self, before: list[TrackedBox], after: list[TrackedBox], held: list[_Held]
    ) -> Iterator[FoundFace]:
        """Yields the faces of held frames, on straight lines between their boxes before and after."""
        if not before or not after or not held:
            return
        filled: dict[int, list[TrackedBox]] = {}
        for face in between(before, after):
            filled.setdefault(face.frame, []).append(face)
        for one in held:
            if faces := filled.get(one.frame.index):
                yield from _seen(faces, one.time, self._picture(one.frame))


class ImageFaces:
    """The same for a photograph: one frame at time 0, turned as its EXIF data say.

    Raises: UserError at construction, where the file is no readable image.
    """

    fps = duration = last_time = 0.0
    frames = frames_looked_at = shots = 1
    chosen = array("d", (0.0,))
    error = remark = ""

    def __init__(self, path: Path, finder: FaceFinder) -> None:
        started = time.perf_counter()
        self.picture = read_image(path)
        self.decode_s = time.perf_counter() - started
        started = time.perf_counter()
        self._detections, self._threshold = finder.detect(self.picture), finder.threshold
        self.detect_s = time.perf_counter() - started
        self.best_confidence = float(self._detections.scores[0])
        self.size = (self.picture.shape[1], self.picture.shape[0])

    def __iter__(self) -> Iterator[FoundFace]:
        faces = [
            replace(face, track=rank)
            for rank, face in enumerate(_faces(0, self._detections, self._threshold))
        ]
        yield from _seen(faces, 0.0, self.picture)


@dataclass(frozen=True)
class _Held:
    frame: Frame
    time: float


class _Clock:
    """Says of rising times which are due, `rate` a second; every one where the rate is None."""

    def __init__(self, rate: float | None) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._next = 0.0

    def due(self, now: float) -> bool:
        if now < self._next - 1e-6:
            return False
        # on from when it was due, so that the rate holds on average; after a gap, from now
        late = now - self._next > self._interval
        self._next = (now if late else self._next) + self._interval
        return True


def _reader(path: Path) -> AnimationReader | PyAVReader:
    return AnimationReader(path) if is_animated(path) else PyAVReader(path)


def _too_many(held: list[_Held], size: tuple[int, int]) -> bool:
    return len(held) * size[0] * size[1] * 1.5 > HELD_BYTES  # decoded frames are 4:2:0


def _faces(frame: int, detections: Detections, threshold: float = CONFIDENCE) -> list[TrackedBox]:
    """Returns the faces of one frame above the threshold, the best first; of two boxes of one head the better one."""
    kept: list[TrackedBox] = []
    for rank, (box, score) in enumerate(
        zip(detections.boxes.tolist(), detections.scores.tolist(), strict=True)
    ):
        face = TrackedBox(frame, rank, score, *box)
        if score > threshold and not any(_nested(face, better) for better in kept):
            kept.append(face)
    return kept


def _nested(a: TrackedBox, b: TrackedBox) -> bool:
    """Returns whether most of the smaller box lies inside the other one."""
    width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
    smaller = min((face.x2 - face.x1) * (face.y2 - face.y1) for face in (a, b))
    return width > 0 and height > 0 and width * height > NESTED * smaller


def _seen(faces: list[TrackedBox], at: float, picture: Image | None) -> Iterator[FoundFace]:
    """Yields the faces of one frame; without its picture they are not to be scored."""
    for face in faces:
        box = (face.x1, face.y1, face.x2, face.y2)
        crop_of = None if picture is None else partial(cut, picture, box)
        yield FoundFace(face.frame, at, face.track, face.score, box, face.interpolated, crop_of)
