"""Estimates the time and disk that a data set will take: a timed probe really detects and encodes a few videos."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from ffpp_prep.datasets.layouts import TableWords, list_videos
from ffpp_prep.datasets.splits import assign
from ffpp_prep.detector import FaceDetector
from ffpp_prep.detector.mesh import FaceMesh
from ffpp_prep.detector.workers import Served, find_workers, process_detector
from ffpp_prep.errors import UserError
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.format.tables import written_size
from ffpp_prep.jobs import Beat, run_tasks
from ffpp_prep.one_video.boxes import VideoBoxes, detect_video
from ffpp_prep.one_video.faces import are_chosen, crops
from ffpp_prep.one_video.landmarks import landmarks_of_video
from ffpp_prep.settings import BoxSettings, CropSettings, Engine, SplitSettings
from ffpp_prep.stages.scanning import own_splits
from ffpp_prep.text.bars import bar
from ffpp_prep.text.units import counted
from ffpp_prep.video import PyAVReader, VideoError, open_video, require_decoder

__all__ = ["HEADERS", "PROBES", "PROBE_FRAMES", "Estimate", "Thing", "estimate_root"]

HEADERS = 200  # videos whose frames are counted
PROBES = 2  # videos a job that are detected
PROBE_FRAMES = 48  # of each of them


@dataclass(frozen=True)
class Estimate:
    """What a data set holds, and what it will take; extrapolated from the videos looked at.

    Attributes:
        videos: in the data set.
        counted: videos whose frames were counted, or should have been.
        unreadable: the paths of those that could not be opened.
        hours: of video.
        frames: to decode.
        detected_frames: to run through the detector: without those interpolated, or taken from an original.
        crops: to store.
        faces: kept, that landmarks would be found of.
        boxes_s: seconds for `boxes`, as probed.
        landmarks_s: seconds for `landmarks` with as many jobs as asked for.
        extract_s: seconds for `extract` with as many jobs as asked for.
        boxes_bytes: of WORK/boxes.
        landmarks_bytes: of WORK/landmarks.
        crops_bytes: of WORK/faces.
        jobs: videos that the probe processed at once.
        probed: videos that were detected.
        detect_rate: frames a second that one worker put through the detector.
    """

    videos: int
    counted: int
    unreadable: tuple[str, ...]
    hours: float
    frames: int
    detected_frames: int
    crops: int
    faces: int
    boxes_s: float
    landmarks_s: float
    extract_s: float
    boxes_bytes: int
    landmarks_bytes: int
    crops_bytes: int
    jobs: int
    probed: int
    detect_rate: float


def estimate_root(
    root: str | Path,
    layout: str = "auto",
    boxes: BoxSettings | None = None,
    crop: CropSettings | None = None,
    engine: Engine | None = None,
    jobs: int = 1,
    splits: SplitSettings | None = None,
    words: TableWords | None = None,
) -> Estimate:
    """Counts frames in some videos' headers, detects and crops the beginning of a few, and extrapolates.

    Args:
        root: the data set's folder, or a table.
        layout: see `ffpp_prep.datasets.layouts`.
        boxes: how faces will be detected.
        crop: what crops will be.
        engine: which detector runs.
        jobs: worker processes, all busy during the probe, as they will be.
        splits: where splits come from, see `scan`; needed only where crops are for training.
        words: what a table's columns and labels mean.

    Raises:
        UserError: no videos, or none that can be read; or no splits where they are needed.
    """
    boxes, crop = boxes or BoxSettings(), crop or CropSettings()
    require_decoder(boxes.decoder)
    # squares of the same size cost about as much as aligned crops
    crop = replace(crop.with_codec(), decoder=boxes.decoder, align="")
    workers = find_workers(replace(engine or Engine(), detector=boxes.finder, tiles=boxes.tiles), jobs)
    detecting = workers.decoders
    videos: Sequence[VideoRecord] = list_videos(Path(root), layout, words).videos
    if crop.for_training:
        videos = assign(videos, own_splits(Path(root), splits or SplitSettings())).videos
    looked = _spread(videos, HEADERS)
    headers = [_header(video) for video in bar(looked, "counting", unit="video")]
    readable = [(video, header) for video, header in zip(looked, headers, strict=True) if header]
    unreadable = tuple(video.path for video, header in zip(looked, headers, strict=True) if not header)
    if not readable:
        raise UserError(f"{root}: {counted(len(looked), 'video')} tried, none can be opened")
    chosen = _spread(readable, PROBES * detecting)
    with workers.at_work(len(chosen)) as crew:
        tasks = [_Task(video.path, boxes, crop, crew.engine) for video, _ in chosen]
        outcomes = run_tasks(_probe, tasks, crew.processes, threads=crew.threads, devices=crew.devices)
        looked_at = bar(outcomes, "probing", len(tasks), unit="video")
        probes = [outcome.result for outcome in looked_at if outcome.result and outcome.result.frames]
    if not probes:
        raise UserError(f"{root}: {counted(len(tasks), 'video')} tried, none can be decoded")
    return _extrapolated(len(videos), unreadable, readable, probes, boxes, crop, detecting, jobs)


Thing = TypeVar("Thing")


@dataclass(frozen=True)
class _Header:
    frames: int
    seconds: float


@dataclass(frozen=True)
class _Task:
    path: str
    boxes: BoxSettings
    crop: CropSettings
    engine: Engine | Served


@dataclass(frozen=True)
class _Probe:
    """What the beginning of a video took."""

    frames: int
    detected: int
    decode_s: float
    detect_s: float
    rows: pa.Table
    landmarks: pa.Table
    landmarks_s: float
    crops: int
    crop_s: float
    crop_bytes: int


def _header(video: VideoRecord) -> _Header | None:
    try:
        with open_video(video.path) as reader:
            info = reader.info
            frames = info.frames
            if not frames and isinstance(reader, PyAVReader):  # some containers don't say
                frames = len(reader.packet_times().pts)
    except VideoError:
        return None
    return _Header(frames, frames / info.fps if info.fps else 0.0) if frames else None


def _probe(task: _Task, beat: Beat) -> _Probe | None:
    detector = process_detector(task.engine)
    try:
        return _timed(task, detector, beat)
    except Exception:  # whatever a hostile video provokes: the others are probed
        return None


def _timed(task: _Task, detector: FaceDetector, beat: Beat) -> _Probe | None:
    def detect(frames: int) -> VideoBoxes:
        return detect_video("", task.path, detector, task.boxes, beat, limit=frames)

    detect(1)  # loads the network for this frame size
    found = detect(PROBE_FRAMES)
    if found.rows is None:
        return None
    rows = found.rows.to_pandas()
    mesh = FaceMesh()  # this thread's own: several can't share one
    started = time.perf_counter()
    points = landmarks_of_video("", task.path, rows, mesh, task.boxes.decoder, beat)
    landmarks_s = time.perf_counter() - started
    if points.rows is None:
        return None
    encode, size, count = codec(task.crop.codec).encode, 0, 0
    started = time.perf_counter()
    for _, picture in crops(task.path, rows[rows["score"] >= task.crop.min_score], task.crop, beat):
        size += len(encode(picture))
        count += 1
    return _Probe(
        frames=found.frames_decoded,
        detected=int((~rows.drop_duplicates("frame")["interpolated"]).sum()),
        decode_s=found.decode_s,
        detect_s=found.detect_s,
        rows=found.rows,
        landmarks=points.rows,
        landmarks_s=landmarks_s,
        crops=count,
        crop_s=time.perf_counter() - started,
        crop_bytes=size,
    )


def _extrapolated(
    videos: int,
    unreadable: tuple[str, ...],
    readable: Sequence[tuple[VideoRecord, _Header]],
    probes: Sequence[_Probe],
    boxes: BoxSettings,
    crop: CropSettings,
    detecting: int,
    jobs: int,
) -> Estimate:
    looked = len(readable) + len(unreadable)
    scale = videos / looked
    lengths = np.array([header.frames for _, header in readable])
    borrowed = np.array([_borrows(video, boxes) for video, _ in readable])
    frames = scale * lengths.sum()
    detected = scale * lengths[~borrowed].sum() * _sum(probes, "detected") / _sum(probes, "frames")
    faces = _sum(probes, "crops") / _sum(probes, "frames")  # a frame
    count = scale * faces * sum(_chosen(header.frames, video.split, crop) for video, header in readable)
    decode_s = _sum(probes, "decode_s") / _sum(probes, "frames")
    detect_s = _sum(probes, "detect_s") / _sum(probes, "detected")
    kept = sum(len(probe.rows) for probe in probes) / _sum(probes, "frames")
    mesh_s = max(0.0, _sum(probes, "landmarks_s") - _sum(probes, "decode_s"))
    mesh_s /= max(1, sum(len(probe.landmarks) for probe in probes))
    crop_s = max(0.0, _sum(probes, "crop_s") - _sum(probes, "decode_s")) / max(1.0, _sum(probes, "crops"))
    return Estimate(
        videos=videos,
        counted=looked,
        unreadable=unreadable,
        hours=scale * sum(header.seconds for _, header in readable) / 3600,
        frames=round(frames),
        detected_frames=round(detected),
        crops=round(count),
        faces=round(kept * frames),
        boxes_s=(frames * decode_s + detected * detect_s) / detecting,
        landmarks_s=frames * (decode_s + kept * mesh_s) / jobs,
        extract_s=(frames * decode_s + count * crop_s) / jobs,
        boxes_bytes=round(frames * _bytes_a_frame(probes, "rows")),
        landmarks_bytes=round(frames * _bytes_a_frame(probes, "landmarks")),
        crops_bytes=round(count * _sum(probes, "crop_bytes") / max(1.0, _sum(probes, "crops"))),
        jobs=detecting,
        probed=len(probes),
        detect_rate=1 / detect_s,
    )


def _borrows(video: VideoRecord, boxes: BoxSettings) -> bool:
    return bool(video.original_id) and (video.dataset == "dfdc" or boxes.from_original)


def _chosen(length: int, split: str, crop: CropSettings) -> int:
    frames = np.arange(length, dtype=np.int32)
    return int(are_chosen(frames, np.ones(length, np.float32), split, length, crop).sum())


def _bytes_a_frame(probes: Sequence[_Probe], name: str) -> float:
    """Measures a frame's boxes or landmarks as Parquet; writing the rows twice leaves out what a file costs besides."""
    rows = pa.concat_tables([getattr(probe, name) for probe in probes]).unify_dictionaries()
    half = rows.slice(0, len(rows) // 2)
    growth = (written_size(rows) - written_size(half)) / (len(rows) - len(half))
    return growth * len(rows) / _sum(probes, "frames")


def _sum(probes: Sequence[_Probe], name: str) -> float:
    return float(sum(getattr(probe, name) for probe in probes))


def _spread(things: Sequence[Thing], count: int) -> list[Thing]:
    """Returns at most `count` of them, equally spaced."""
    places = np.unique(np.linspace(0, len(things) - 1, count).round().astype(int))
    return [things[place] for place in places]
