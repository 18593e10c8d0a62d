"""Step 3: the chosen boxes of the usable videos, cropped -> WORK/faces.

Shards are tasks of their own, and what is left is the planned shards without a commit (`crop_plan`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ffpp_prep.errors import FatalError, UserError
from ffpp_prep.format.checksums import write_checked_json
from ffpp_prep.format.files import sweep
from ffpp_prep.format.manifest import MANIFEST, manifest_of
from ffpp_prep.format.points import FIVE, PointReader
from ffpp_prep.format.shard_summaries import ShardSummary, commit_file, read_summaries, shard_name
from ffpp_prep.format.shard_writer import scored_below
from ffpp_prep.jobs import Beat, TaskOutcome, run_tasks
from ffpp_prep.settings import Choice, CropSettings
from ffpp_prep.stages.crop_plan import plan_crops
from ffpp_prep.text.units import counted
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.plan import PlannedSlice, read_plan, write_plan
from ffpp_prep.work.planning import planned_slices
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.shards import VideoSlice, header_of, write_shard
from ffpp_prep.work.store import BoxStore

__all__ = ["Choice", "ExtractSummary", "extract_faces"]


@dataclass(frozen=True)
class ExtractSummary:
    """What a run of `extract_faces` did, and why videos have no crops."""

    shards: int
    crops: int
    bytes: int
    seconds: float
    left_out: dict[str, int]  # reason -> videos
    missing: tuple[tuple[str, int, str], ...]  # video_id, crops, error
    lost: tuple[tuple[str, str], ...]  # shard, error
    threshold: float  # the detector's, above which a box counts as a face
    below_threshold: int  # of `crops`
    planned: int  # shards, those of earlier runs included


@dataclass(frozen=True)
class _Task:
    work: Path
    number: int
    slices: tuple[PlannedSlice, ...]
    videos: pd.DataFrame  # theirs, see `planned_slices`: read once a run, which takes seconds for DFDC
    settings: CropSettings


def extract_faces(
    work: str | Path,
    settings: CropSettings | None = None,
    choice: Choice | None = None,
    jobs: int = 1,
    timeout_s: float = 300.0,
    scheduler: str = "",
    retry_failed: bool = False,
) -> ExtractSummary:
    """Writes the face crops of every chosen video of WORK that has none yet.

    Args:
        work: a folder with committed boxes.
        settings: what a crop is; must equal those of the crops already there.
        choice: which videos.
        jobs: worker processes on this machine, one shard each.
        timeout_s: seconds without progress after which a shard's worker is stopped.
        scheduler: address of a Dask scheduler, whose workers then do the work instead of `jobs`.
        retry_failed: write shards again that lack crops because their frames could not be decoded.

    Raises:
        UserError: no boxes, other settings or boxes than before, or another run at work.
        FatalError: the disk is full.
    """
    work = Path(work).resolve()
    choice = choice or Choice()
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    folder = work / "faces"
    started = time.monotonic()
    threshold = BoxStore(work).made_with()["threshold"]
    with only_run(work):
        plan = plan_crops(work, settings or CropSettings(), choice)
        if retry_failed:  # after the plan, which may refuse what is asked for
            _forget_incomplete(folder)
        folder.mkdir(exist_ok=True)
        sweep(folder)
        if plan.is_new:
            write_plan(folder, plan.shards, plan.settings)
        by_id = plan.videos.set_index("video_id")
        tasks = [
            _Task(work, number, slices, by_id.loc[[piece.video_id for piece in slices]], plan.settings)
            for number, slices in ((number, plan.shards[number]) for number in plan.left(False))
        ]
        total = sum(piece.stop - piece.first for task in tasks for piece in task.slices)
        try:
            with ProgressBar(work, "extract", total, "crop") as bar:
                outcomes = run_tasks(_extract, tasks, jobs, timeout_s, scheduler, shared=work, look=bar.look)
                lost = _collect(outcomes, bar)
        finally:
            sweep(folder)  # what killed workers left
        told = {name for name, _ in lost}
        lost += [
            (shard_name(task.number), f"a worker wrote it, but it isn't in {folder} here")
            for task in tasks
            if shard_name(task.number) not in told and not commit_file(folder, task.number).exists()
        ]
        summaries = read_summaries(folder, len(plan.shards))
        write_checked_json(
            folder / MANIFEST, manifest_of(summaries, header_of(plan.settings), plan.settings.boxes)
        )
    written = {task.number for task in tasks}
    new = [s for s in summaries if int(Path(s.file).stem.split("-")[1]) in written]
    return ExtractSummary(
        shards=len(new),
        crops=sum(s.crops for s in new),
        bytes=sum(s.bytes for s in new),
        seconds=time.monotonic() - started,
        left_out=plan.left_out,
        missing=tuple((m.video_id, m.count, m.error) for s in summaries for m in s.missing),
        lost=tuple(lost),
        threshold=threshold,
        below_threshold=sum(scored_below(folder / s.file, threshold) for s in new),
        planned=len(plan.shards),
    )


def _forget_incomplete(folder: Path) -> None:
    """Takes back the commits of shards that lack crops; their files stay until they are replaced."""
    plan = read_plan(folder)
    written = read_summaries(folder, len(plan[1])) if plan else []
    incomplete = [Path(s.file).with_suffix(".json").name for s in written if s.missing]
    for name in [MANIFEST, *incomplete] if incomplete else []:
        (folder / name).unlink(missing_ok=True)


def _collect(
    outcomes: Iterable[TaskOutcome[_Task, ShardSummary | str]], bar: ProgressBar
) -> list[tuple[str, str]]:
    """Waits for the shards; those that couldn't be written, and why."""
    lost = []
    for outcome in outcomes:
        error = outcome.lost.error if outcome.lost else outcome.result
        slices = outcome.task.slices
        if isinstance(error, str):
            whose = f"{counted(len(slices), 'video')}, such as {slices[0].video_id}"
            lost.append((shard_name(outcome.task.number), f"{error}; it is to hold crops of {whose}"))
        bar.advance(sum(piece.stop - piece.first for piece in slices))
    return lost


def _with_points(part: VideoSlice, reader: PointReader) -> VideoSlice:
    """Returns the same boxes with the columns FIVE, NaN where a face has no points."""
    boxes = part.boxes
    rows = [
        reader.find(part.video_id, int(row.frame), int(row.face), (row.x1, row.y1, row.x2, row.y2))
        for row in boxes.itertuples()
    ]
    points = np.array([np.full((5, 2), np.nan) if one is None else one for one in rows]).reshape(-1, 10)
    return replace(part, boxes=boxes.assign(**dict(zip(FIVE, points.T, strict=True))))


def _extract(task: _Task, beat: Beat) -> ShardSummary | str:
    """Writes a shard; or says why that was not possible."""
    try:
        slices = planned_slices(BoxStore(task.work), task.videos, task.slices, task.settings)
        if task.settings.align:
            reader = PointReader(task.work / "landmarks")
            slices = [_with_points(part, reader) for part in slices]
        return write_shard(task.work / "faces", task.number, slices, task.settings, beat)
    except (
        UserError,
        FatalError,
        OSError,
    ):  # damaged boxes, a full or broken disk: no other shard would do better
        raise
    except Exception as error:  # whatever a hostile video provokes is that shard's loss, not the run's end
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
