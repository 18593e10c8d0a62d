"""Step 2: every frame of every video through the face detector -> WORK/boxes.

In two waves: fakes that may take their original's boxes wait until those are committed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ffpp_prep.detector import check_detector, weights_sha256
from ffpp_prep.detector.workers import DetectorWorkers, Served, find_workers, process_detector
from ffpp_prep.errors import UserError
from ffpp_prep.format.schemas import STATUS_SCHEMA
from ffpp_prep.jobs import Beat, Lost, run_tasks
from ffpp_prep.one_video.borrowed import Original, borrow_boxes
from ffpp_prep.one_video.boxes import LOST, VideoBoxes, detect_video
from ffpp_prep.settings import BoxSettings, Engine
from ffpp_prep.stages.collect import collect, recorded
from ffpp_prep.video import require_decoder
from ffpp_prep.work.fakes import FakeStore
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.plan import read_plan
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.store import BoxStore, read_scan

__all__ = ["BoxesSummary", "detect_boxes"]


@dataclass(frozen=True)
class BoxesSummary:
    """What a run of `detect_boxes` did: videos by status in this run, all failures of WORK, time."""

    statuses: dict[str, int]
    skipped: int
    frames: int
    seconds: float
    failures: tuple[tuple[str, str, str], ...]  # video_id, status, error


@dataclass(frozen=True)
class _Task:
    video_id: str
    path: str
    settings: BoxSettings
    engine: Engine | Served
    original: Original | None = None  # to take the boxes from


def detect_boxes(
    work: str | Path,
    settings: BoxSettings | None = None,
    engine: Engine | None = None,
    jobs: int = 1,
    retry_failed: bool = False,
    timeout_s: float = 300.0,
    scheduler: str = "",
) -> BoxesSummary:
    """Detects faces in every video of WORK that has no committed boxes yet.

    A video that can't be read, or whose worker crashes or hangs, becomes a row with a status; the rest goes on.

    Args:
        work: a folder with videos.parquet.
        settings: what to keep; must equal those of the boxes already there.
        engine: which detector runs, and on which GPUs.
        jobs: worker processes on this machine, one video each; not used where GPUs are.
        retry_failed: try failed videos again; partial ones only while nothing builds on their boxes.
        timeout_s: seconds without progress after which a video's worker is stopped.
        scheduler: address of a Dask scheduler, whose workers then do the work instead of `jobs`.

    Raises:
        UserError: no scan, other settings than before, no such decoder, or another run at work.
        FatalError: the disk is full.
    """
    work = Path(work).resolve()
    settings = settings or BoxSettings()
    require_decoder(settings.decoder)
    videos = read_scan(work, ("video_id", "path", "dataset", "original_id"))
    workers = _workers(
        replace(engine or Engine(), detector=settings.finder, tiles=settings.tiles), jobs, scheduler
    )
    settings = replace(
        settings, weights_sha256=weights_sha256(workers.engine.detector, workers.engine.frozen_graph)
    )
    store = BoxStore(work)
    started = time.monotonic()
    with only_run(work):
        store.begin(settings, [folder for folder in (work / "faces", work / "fakes") if folder.exists()])
        done = passed_over(work, store, retry_failed)

        def commit(part: list[VideoBoxes]) -> None:
            engines = sorted({found.detector for found in part} - {""})
            store.commit(part, settings, ", ".join(engines))

        left = videos[~videos["video_id"].isin(done)]
        borrowing = (left["original_id"] != "") & ((left["dataset"] == "dfdc") | settings.from_original)
        statuses: Counter[str] = Counter()
        frames = 0
        with workers.at_work(len(left)) as crew, ProgressBar(work, "boxes", len(left), "video") as bar:
            for wave in (left[~borrowing], left[borrowing]):
                originals = _originals(store, wave["original_id"]) if borrowing[wave.index].any() else {}
                tasks = [
                    _Task(row.video_id, row.path, settings, crew.engine, originals.get(row.original_id))
                    for row in wave.itertuples()
                ]
                if tasks:
                    outcomes = run_tasks(
                        _detect,
                        tasks,
                        crew.processes,
                        timeout_s,
                        scheduler,
                        crew.threads,
                        crew.devices,
                        work,
                        bar.look,
                    )
                    frames += collect(outcomes, _given_up, commit, bar, statuses)
        failures = _failures(store)
    seconds = time.monotonic() - started
    return BoxesSummary(dict(statuses), len(videos) - len(left), frames, seconds, failures)


def passed_over(work: Path, store: BoxStore, retry_failed: bool) -> set[str]:
    """Returns the committed videos; with `retry_failed` those alone that are neither lost, nor partial with boxes that
    nothing builds on yet.

    Of a file that was mended the boxes would be others than those that crops were cut out by, or that were measured.
    """
    if not retry_failed:
        return store.done()
    plan = read_plan(work / "faces")
    built_on = {piece.video_id for shard in plan[1] for piece in shard} if plan else set()
    built_on |= FakeStore(work).done()
    return store.done(but=(*LOST, "partial")) | (store.done(but=LOST) & built_on)


def _workers(engine: Engine, jobs: int, scheduler: str) -> DetectorWorkers:
    if not scheduler:
        return find_workers(engine, jobs)
    if engine.gpus or engine.decode_threads:
        raise UserError(
            "--gpus and --decode-threads are for this machine; a cluster's workers have one thread each"
        )
    check_detector(engine.detector, engine.name, engine.frozen_graph, engine.precision)
    return DetectorWorkers(engine, jobs)  # each worker finds out whether it has a GPU


def _originals(store: BoxStore, video_ids: Iterable[str]) -> dict[str, Original]:
    """Returns the originals whose boxes are committed and can be taken, by `video_id`."""
    status = store.read_status()
    status = status[status["status"] == "ok"]
    return {
        row["video_id"]: Original(
            VideoBoxes(**{name: row[name] for name in STATUS_SCHEMA.names}), store.rows_file(row["part"])
        )
        for row in status[status["video_id"].isin(set(video_ids))].to_dict("records")
    }


def _given_up(task: _Task, lost: Lost) -> VideoBoxes:
    return VideoBoxes(task.video_id, lost.status, lost.error)


def _detect(task: _Task, beat: Beat) -> VideoBoxes:
    failed = partial(VideoBoxes, task.video_id, "decode_failed")
    borrowed = _borrowed(task, beat)
    if borrowed is not None:
        return recorded(lambda: borrowed, failed, STATUS_SCHEMA)
    detector = process_detector(task.engine)
    return recorded(
        lambda: detect_video(task.video_id, task.path, detector, task.settings, beat), failed, STATUS_SCHEMA
    )


def _borrowed(task: _Task, beat: Beat) -> VideoBoxes | None:
    if task.original is None:
        return None
    try:
        return borrow_boxes(task.video_id, task.path, task.original, task.settings.decoder, beat)
    except UserError:  # the original's boxes are damaged, which is no fault of this video
        raise
    except Exception:
        return None  # what is wrong with the video, detection will find and record


def _failures(store: BoxStore) -> tuple[tuple[str, str, str], ...]:
    status = store.read_status(["status", "error"])
    failed = status[status["status"] != "ok"].sort_values("video_id")
    return tuple(failed[["video_id", "status", "error"]].itertuples(index=False, name=None))
