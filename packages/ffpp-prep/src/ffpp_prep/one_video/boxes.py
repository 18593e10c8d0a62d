"""One video to its boxes: decode, detect, keep, link, expand (thesis section 4.4.1)."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.detector import Detections, FaceDetector
from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.format.schemas import BOXES_SCHEMA
from ffpp_prep.one_video.likeness import Likeness
from ffpp_prep.one_video.tracks import Linker, TrackedBox, between
from ffpp_prep.settings import BoxSettings
from ffpp_prep.text.units import counted
from ffpp_prep.video import DecodeFailed, Frame, OpenFailed, beating, open_video

__all__ = [
    "BATCH_BYTES",
    "BATCH_FRAMES",
    "BLOCK_ROWS",
    "LOST",
    "MULTIPLE_FACES_SHARE",
    "NO_FACE_SHARE",
    "BoxSettings",
    "Status",
    "VideoBoxes",
    "detect_video",
]

Status = Literal["ok", "partial", "no_face", "open_failed", "decode_failed", "timeout", "crashed"]
LOST: tuple[Status, ...] = ("open_failed", "decode_failed", "timeout", "crashed")  # videos without boxes

MULTIPLE_FACES_SHARE = 0.10  # of a video's frames; above it the video is flagged (thesis 4.1.2)
NO_FACE_SHARE = 0.05  # of a video's frames; below it the video has no usable face
BATCH_FRAMES = 16
BATCH_BYTES = 64 << 20  # a batch of 4K frames stays as small as one of 480p frames
BLOCK_ROWS = 8192  # held as Python objects, which take ten times as much memory as rows


@dataclass(frozen=True)
class VideoBoxes:
    """The boxes of one video (rows of BOXES_SCHEMA) and how its reading went."""

    video_id: str
    status: Status
    error: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames_container: int = 0
    frames_decoded: int = 0
    frames_with_face: int = 0
    frames_multi_face: int = 0
    multiple_faces: bool = False
    boxes_from: str | None = None
    detector: str = ""  # the engine that ran; empty where none did
    decode_s: float = 0.0
    detect_s: float = 0.0
    likeness: bytes | None = None
    """what some of its frames look like, see `ffpp_prep.one_video.likeness`; None where nothing was decoded"""
    rows: pa.Table | None = None


def detect_video(
    video_id: str,
    path: str,
    detector: FaceDetector,
    settings: BoxSettings,
    beat: Callable[[], None] = lambda: None,
    limit: int | None = None,
) -> VideoBoxes:
    """Finds the faces of every frame of one video; a fault becomes the result's status, never an exception.

    Args:
        video_id: how the rows name the video.
        path: the file.
        detector: see `ffpp_prep.detector.load_detector`.
        settings: what to keep.
        beat: called after every batch and every few frames, so that a watcher can tell work from a hang.
        limit: stop after so many frames.
    """
    decode_s = detect_s = 0.0
    pts: array[int] = array("q")
    found = _Faces(video_id, settings, pts)
    shape = (0, 0)
    try:
        with open_video(path, settings.decoder) as reader:
            info = reader.info
            likeness = Likeness(info)
            frames = likeness.watched(beating(islice(reader, limit), beat))
            batches = _batches(frames, settings.every, pts, detector.longest)
            while True:
                started = time.perf_counter()
                batch = next(batches, None)
                decode_s += time.perf_counter() - started
                if batch is None:
                    break
                shape = batch.shape if shape == (0, 0) else shape
                found.begin_batch(batch.shape)
                started = time.perf_counter()
                detections = [batch.placed(one) for one in detector.detect(batch.pictures)]
                detect_s += time.perf_counter() - started
                for index, detected in zip(batch.indices, detections, strict=True):
                    found.add(index, detected)
                beat()
            error = reader.error
    except OpenFailed as failure:
        reason = str(failure).removeprefix(f"{Path(path).name}: ")  # the row names the video
        return VideoBoxes(video_id, "open_failed", reason)
    except DecodeFailed as failure:
        return VideoBoxes(video_id, "decode_failed", str(failure))
    if not pts:
        return VideoBoxes(video_id, "decode_failed", error or "no frame could be decoded")

    with_face = found.frames_with_face
    status: Status = "partial" if error else "ok"
    if with_face == 0 or with_face < NO_FACE_SHARE * len(pts):
        status, error = (
            "no_face",
            "; ".join(filter(None, (f"a face in {with_face:,} of {counted(len(pts), 'frame')}", error))),
        )
    return VideoBoxes(
        video_id=video_id,
        status=status,
        error=error,
        width=shape[1],
        height=shape[0],
        fps=info.fps,
        frames_container=info.frames,
        frames_decoded=len(pts),
        frames_with_face=with_face,
        frames_multi_face=found.frames_multi_face,
        multiple_faces=found.frames_multi_face > MULTIPLE_FACES_SHARE * len(pts),
        detector=detector.engine,
        decode_s=decode_s,
        detect_s=detect_s,
        likeness=likeness.content(),
        rows=found.rows(),
    )


@dataclass(frozen=True)
class _Batch:
    """Frames of one size: their indices, their pictures (N, H, W, 3), maybe scaled, and their own height and width."""

    indices: list[int]
    pictures: NDArray[np.uint8]
    shape: tuple[int, int]

    def placed(self, found: Detections) -> Detections:
        """Returns what was found in a picture, in the frame's own pixels."""
        height, width = self.pictures.shape[1:3]
        if (height, width) == self.shape:
            return found
        scale = np.array([self.shape[1] / width, self.shape[0] / height] * 2, np.float32)
        return replace(found, boxes=found.boxes * scale)


def _batches(frames: Iterator[Frame], every: int, pts: array[int], longest: int) -> Iterator[_Batch]:
    """Yields frames to detect, scaled to their `longest` side where that is less; `pts` collects the times of
    all frames.
    """
    indices: list[int] = []
    pictures: list[NDArray[np.uint8]] = []
    size = (0, 0)

    def flush() -> _Batch:
        batch = _Batch(indices.copy(), np.stack(pictures), (size[1], size[0]))
        indices.clear()
        pictures.clear()
        return batch

    for frame in _to_detect(frames, every, pts):
        seen = frame.within(longest)
        picture = seen.picture
        if pictures and seen.size != size:
            yield flush()
        size = seen.size
        indices.append(frame.index)
        pictures.append(picture)
        if len(pictures) >= min(BATCH_FRAMES, max(1, BATCH_BYTES // picture.nbytes)):
            yield flush()
    if pictures:
        yield flush()


def _to_detect(frames: Iterator[Frame], every: int, pts: array[int]) -> Iterator[Frame]:
    """Yields every `every`-th frame, the last one, and both at each change of size: the ends that boxes are
    filled between.
    """
    last: Frame | None = None
    detected = -1
    for frame in frames:
        pts.append(frame.pts)
        changes = last is not None and frame.size != last.size
        if last is not None and changes and detected < last.index:
            yield last
        if changes or frame.index % every == 0:
            detected = frame.index
            yield frame
        last = frame
    if last is not None and detected < last.index:
        yield last


class _Faces:
    """The faces of a video, frame by frame: kept, linked, those between detected frames added; and how many there are.

    pts: of the frames decoded so far, those of the faces among them.
    """

    def __init__(self, video_id: str, settings: BoxSettings, pts: Sequence[int]) -> None:
        self.frames_with_face = self.frames_multi_face = 0
        self._video_id, self._settings, self._pts = video_id, settings, pts
        self._linker = Linker(max_gap=max(5, 2 * settings.every))
        self._before: list[TrackedBox] = []  # of the latest detected frame
        self._shape = (0, 0)
        self._block: list[TrackedBox] = []
        self._tables: list[pa.Table] = []

    def begin_batch(self, shape: tuple[int, int]) -> None:
        """Sets the size of the frames that follow; no boxes are filled in across a change of size."""
        if shape != self._shape:
            self._before, self._shape = [], shape

    def add(self, frame: int, detections: Detections) -> None:
        """Takes what was detected in the next frame."""
        faces = self._linker.step(frame, list(_kept(frame, detections, self._settings.threshold)))
        if self._settings.every > 1 and self._before and faces:
            self._extend(between(self._before, faces))
        self._extend(faces)
        self._before = faces or self._before

    def rows(self) -> pa.Table:
        """Returns the rows in BOXES_SCHEMA, sorted by frame and face."""
        return pa.concat_tables([*self._tables, self._of_block()])

    def _extend(self, faces: Iterable[TrackedBox]) -> None:
        for face in faces:
            self.frames_with_face += face.rank == 0 and face.score > self._settings.threshold
            self.frames_multi_face += face.rank == 1
            self._block.append(face)
            if len(self._block) == BLOCK_ROWS:
                self._tables.append(self._of_block())
                self._block.clear()

    def _of_block(self) -> pa.Table:
        return _rows(self._video_id, self._block, self._pts, self._settings.margin)


def _kept(index: int, detections: Detections, threshold: float) -> Iterator[TrackedBox]:
    # The best face stays whatever its score: the data sets guarantee one (thesis 4.1.3).
    for rank, (box, score) in enumerate(zip(detections.boxes, detections.scores, strict=True)):
        if rank == 0 or score > threshold:
            x1, y1, x2, y2 = (float(v) for v in box)
            yield TrackedBox(index, rank, float(score), x1, y1, x2, y2)


def _rows(video_id: str, faces: list[TrackedBox], pts: Sequence[int], margin: float) -> pa.Table:
    squares = [expanded_square(f.x1, f.y1, f.x2, f.y2, margin) for f in faces]
    columns = {
        "video_id": pa.DictionaryArray.from_arrays(
            pa.array([0] * len(faces), pa.int32()), pa.array([video_id])
        ),
        "frame": [f.frame for f in faces],
        "pts": [pts[f.frame] for f in faces],
        "face": [f.rank for f in faces],
        "track": [f.track for f in faces],
        "score": [f.score for f in faces],
        "x1": [f.x1 for f in faces],
        "y1": [f.y1 for f in faces],
        "x2": [f.x2 for f in faces],
        "y2": [f.y2 for f in faces],
        "top": [s.top for s in squares],
        "bottom": [s.bottom for s in squares],
        "left": [s.left for s in squares],
        "right": [s.right for s in squares],
        "interpolated": [f.interpolated for f in faces],
    }
    return pa.table(columns, schema=BOXES_SCHEMA)
