"""The points of every kept face of every usable video -> WORK/landmarks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd

from ffpp_prep.detector.embedded import MESH
from ffpp_prep.detector.mesh import FaceMesh
from ffpp_prep.errors import UserError
from ffpp_prep.format.schemas import LANDMARK_STATUS_SCHEMA, USABLE
from ffpp_prep.jobs import Beat, Lost, run_tasks
from ffpp_prep.one_video.landmarks import LandmarkSettings, VideoLandmarks, landmarks_of_video
from ffpp_prep.stages.collect import collect, recorded
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.store import BoxStore, read_videos_and_parts

FAILED = ("open_failed", "timeout", "crashed")  # what --retry-failed tries
PART_ROWS = 50_000  # 2 kB each


@dataclass(frozen=True)
class LandmarksSummary:
    """What a run of `find_landmarks` did: videos by status in this run, faces of all of WORK, failures, time."""

    statuses: dict[str, int]
    skipped: int
    frames: int
    seconds: float
    faces: int
    faces_flagged: int
    failures: tuple[tuple[str, str, str], ...]  # video_id, status, error


@dataclass(frozen=True)
class _Task:
    video_id: str
    path: str
    work: Path
    part: str  # of boxes, with the video's
    decoder: str
    size: tuple[int, int]


def find_landmarks(
    work: str | Path, jobs: int = 1, retry_failed: bool = False, timeout_s: float = 300.0, scheduler: str = ""
) -> LandmarksSummary:
    """Finds the points of every kept face of WORK's usable videos that have none yet.

    Args:
        work: a folder with boxes.
        jobs: worker processes on this machine, one video each.
        retry_failed: try failed videos again.
        timeout_s: seconds without progress after which a worker is stopped.
        scheduler: address of a Dask scheduler, whose workers then do the work instead of `jobs`.

    Raises:
        UserError: no boxes, landmarks of other boxes, or another run at work.
        FatalError: the disk is full.
    """
    work = Path(work).resolve()
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: must be at least 1")
    boxes, store = BoxStore(work), LandmarkStore(work)
    decoder = boxes.made_with().get("decoder", "pyav")
    settings = _settings(boxes)
    started = time.monotonic()
    with only_run(work):
        store.begin(settings)
        videos, left = _usable_and_left(store, retry_failed)
        tasks = [
            _Task(row.video_id, row.path, work, row.part, decoder, (int(row.width), int(row.height)))
            for row in left.itertuples()
        ]
        statuses: Counter[str] = Counter()
        with ProgressBar(work, "landmarks", len(tasks), "video") as bar:
            outcomes = (
                run_tasks(_find, tasks, jobs, timeout_s, scheduler, shared=work, look=bar.look)
                if tasks
                else ()
            )
            frames = collect(
                outcomes,
                _given_up,
                lambda part: store.commit_part(part, settings, {}),
                bar,
                statuses,
                PART_ROWS,
            )
        status = store.read_status()
    failed = status[status["status"] != "ok"].sort_values("video_id")
    return LandmarksSummary(
        dict(statuses),
        len(videos) - len(tasks),
        frames,
        time.monotonic() - started,
        int(status["faces"].sum()),
        int(status["faces_flagged"].sum()),
        tuple(failed[["video_id", "status", "error"]].itertuples(index=False, name=None)),
    )


def landmarks_left(work: str | Path, retry_failed: bool = False) -> tuple[int, int]:
    """Returns in how many videos `find_landmarks` would look for points, and how many have boxes to look in; writes
    nothing.

    Raises:
        UserError: no boxes, or landmarks of other boxes.
    """
    boxes, store = BoxStore(Path(work)), LandmarkStore(Path(work))
    boxes.made_with()
    store.refuse_other(_settings(boxes))
    videos, left = _usable_and_left(store, retry_failed)
    return len(left), len(videos)


def _settings(boxes: BoxStore) -> LandmarkSettings:
    return LandmarkSettings(MESH.sha256, boxes.fingerprint())


def _usable_and_left(store: LandmarkStore, retry_failed: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the videos whose boxes can be used, and those of them that have no landmarks yet."""
    videos = read_videos_and_parts(store.folder.parent)
    videos = videos[videos["status"].isin(USABLE)]
    done = store.done(but=FAILED if retry_failed else ())
    return videos, videos[~videos["video_id"].isin(done)]


@cache
def _mesh() -> FaceMesh:
    return FaceMesh()


def _find(task: _Task, beat: Beat) -> VideoLandmarks:
    boxes = BoxStore(task.work).read_part(task.part, {task.video_id})  # a damaged part is no video's fault
    boxes = boxes.sort_values(["frame", "face"], kind="stable")
    return recorded(
        lambda: landmarks_of_video(task.video_id, task.path, boxes, _mesh(), task.decoder, beat, task.size),
        partial(VideoLandmarks, task.video_id, "open_failed"),
        LANDMARK_STATUS_SCHEMA,
    )


def _given_up(task: _Task, lost: Lost) -> VideoLandmarks:
    return VideoLandmarks(task.video_id, lost.status, lost.error)
