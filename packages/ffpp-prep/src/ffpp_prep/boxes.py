"""One video to its boxes: decode, detect, keep, link, expand (thesis section 4.4.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.detector import Detections, Detector
from ffpp_prep.geometry import THESIS_MARGIN, expanded_square
from ffpp_prep.tracks import Face, fill_between, link
from ffpp_prep.video import DecodeFailed, Frame, OpenFailed, open_video

Status = Literal["ok", "partial", "no_face", "open_failed", "decode_failed", "timeout", "crashed"]
USABLE: tuple[Status, ...] = ("ok", "partial")  # videos with faces to crop
FAILED: tuple[Status, ...] = (
    "open_failed",
    "decode_failed",
    "timeout",
    "crashed",
)  # what --retry-failed tries

MULTIPLE_FACES_SHARE = 0.10  # of a video's frames; above it the video is flagged (thesis 4.1.2)
NO_FACE_SHARE = 0.05  # of a video's frames; below it the video has no usable face
BATCH_FRAMES = 16
BATCH_BYTES = 64 << 20  # a batch of 4K frames stays as small as one of 480p frames

BOXES_SCHEMA = pa.schema(
    [
        ("video_id", pa.dictionary(pa.int32(), pa.string())),
        ("frame", pa.int32()),
        ("pts", pa.int64()),
        ("face", pa.int8()),
        ("track", pa.int16()),
        ("score", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("top", pa.int32()),
        ("bottom", pa.int32()),
        ("left", pa.int32()),
        ("right", pa.int32()),
        ("interpolated", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class BoxSettings:
    """What decides the boxes; two runs with equal settings write equal rows.

    Attributes:
        threshold: a second face is kept above this score, and a frame has a face above it (thesis: 0.45).
        every: detect every K-th frame and interpolate between; 1 detects all.
        margin: how much larger than the box the recorded square is (thesis: 0.3).
        weights_sha256: of the detector's weights.
        decoder: pyav or decord, see `ffpp_prep.video`; they number frames alike, 10-bit colours differ slightly.
        from_original: any fake whose frames match its original's takes that one's boxes; DFDC's do so anyway.
    """

    threshold: float = 0.45
    every: int = field(default=1, metadata={"flag": "--detect-every"})
    margin: float = THESIS_MARGIN
    weights_sha256: str = field(default="", metadata={"flag": "--frozen-graph with SHA-256"})
    decoder: str = "pyav"
    from_original: bool = field(default=False, metadata={"flag": "--boxes-from-original"})

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ValueError(f"--threshold {self.threshold} is not in 0 ≤ threshold < 1")
        if self.every < 1:
            raise ValueError(f"--detect-every {self.every}: must be at least 1")


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
    decode_s: float = 0.0
    detect_s: float = 0.0
    rows: pa.Table | None = None


def detect_video(
    video_id: str,
    path: str,
    detector: Detector,
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
        beat: called after every batch, so that a watcher can tell work from a hang.
        limit: stop after so many frames.
    """
    decode_s = detect_s = 0.0
    faces: list[Face] = []
    pts: list[int] = []
    shape = (0, 0)
    try:
        with open_video(path, settings.decoder) as reader:
            info = reader.info
            batches = _batches(islice(reader, limit), settings.every, pts)
            while True:
                started = time.perf_counter()
                batch = next(batches, None)
                decode_s += time.perf_counter() - started
                if batch is None:
                    break
                indices, pictures = batch
                shape = shape if shape != (0, 0) else (pictures.shape[1], pictures.shape[2])
                started = time.perf_counter()
                found = detector.detect(pictures)
                detect_s += time.perf_counter() - started
                for index, detections in zip(indices, found, strict=True):
                    faces.extend(_kept(index, detections, settings.threshold))
                beat()
            error = reader.error
    except OpenFailed as failure:
        reason = str(failure).removeprefix(f"{Path(path).name}: ")  # the row names the video
        return VideoBoxes(video_id, "open_failed", reason)
    except DecodeFailed as failure:
        return VideoBoxes(video_id, "decode_failed", str(failure))
    if not pts:
        return VideoBoxes(video_id, "decode_failed", error or "no frame could be decoded")

    faces = fill_between(link(faces, max_gap=max(5, 2 * settings.every)), len(pts), settings.every)
    best = np.array([f.score for f in faces if f.rank == 0])
    multi = len({f.frame for f in faces if f.rank == 1})
    with_face = int((best > settings.threshold).sum())
    status: Status = "partial" if error else "ok"
    if with_face == 0 or with_face < NO_FACE_SHARE * len(pts):
        status, error = (
            "no_face",
            "; ".join(filter(None, (f"a face in {with_face} of {len(pts)} frames", error))),
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
        frames_multi_face=multi,
        multiple_faces=multi > MULTIPLE_FACES_SHARE * len(pts),
        decode_s=decode_s,
        detect_s=detect_s,
        rows=_rows(video_id, faces, pts, settings.margin),
    )


def _batches(
    frames: Iterator[Frame], every: int, pts: list[int]
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Frames to detect, in batches of one size; `pts` collects the times of all frames, detected or not."""
    indices: list[int] = []
    pictures: list[NDArray[np.uint8]] = []

    def flush() -> tuple[list[int], NDArray[np.uint8]]:
        batch = (indices.copy(), np.stack(pictures))
        indices.clear()
        pictures.clear()
        return batch

    last: Frame | None = None
    for frame in frames:
        pts.append(frame.pts)
        last = frame
        if frame.index % every:
            continue
        picture = frame.rgb()
        if pictures and pictures[0].shape != picture.shape:
            yield flush()
        indices.append(frame.index)
        pictures.append(picture)
        if len(pictures) >= min(BATCH_FRAMES, max(1, BATCH_BYTES // picture.nbytes)):
            yield flush()
    if last is not None and last.index % every:  # interpolation needs the last frame as its far end
        picture = last.rgb()
        if pictures and pictures[0].shape != picture.shape:
            yield flush()
        indices.append(last.index)
        pictures.append(picture)
    if pictures:
        yield flush()


def _kept(index: int, detections: Detections, threshold: float) -> Iterator[Face]:
    # The best face stays whatever its score: the data sets guarantee one (thesis 4.1.3).
    for rank, (box, score) in enumerate(zip(detections.boxes, detections.scores, strict=True)):
        if rank == 0 or score > threshold:
            x1, y1, x2, y2 = (float(v) for v in box)
            yield Face(index, rank, float(score), x1, y1, x2, y2)


def _rows(video_id: str, faces: list[Face], pts: list[int], margin: float) -> pa.Table:
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
