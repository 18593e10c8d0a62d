"""Step 3: the chosen boxes of the usable videos, cropped -> WORK/faces.

`plan.json` says which rows of which video go to which shard. It only grows, so a shard's content never depends
on when it is written; shards are tasks of their own, and what is left is the planned shards without a commit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ffpp_prep.errors import FatalError, UserError
from ffpp_prep.format.checksums import write_checked_json
from ffpp_prep.format.files import sweep
from ffpp_prep.format.frames import EVALUATION_FRAMES
from ffpp_prep.format.manifest import MANIFEST, commit_file, manifest_of, read_summaries
from ffpp_prep.format.points import FIVE, PointReader
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.shard_writer import ShardSummary, scored_below, shard_name
from ffpp_prep.jobs import Beat, TaskOutcome, run_tasks
from ffpp_prep.settings import Choice, CropSettings
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.parts import refuse_other_settings
from ffpp_prep.work.plan import Plan, PlannedSlice, read_plan, write_plan
from ffpp_prep.work.planning import pending_slices, plan_shards, planned_slices, spoken_for, unplanned
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.shards import VideoSlice, header_of, write_shard
from ffpp_prep.work.store import BoxStore, read_videos_and_parts

__all__ = ["NOT_DETECTED", "Choice", "ExtractSummary", "extract_faces"]

NOT_DETECTED = "boxes not detected yet"  # why a video is left out


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
    store, folder = BoxStore(work), work / "faces"
    made_with = store.made_with()
    started = time.monotonic()
    with only_run(work):
        before = read_plan(folder)
        settings = replace(
            settings or CropSettings(),
            decoder=made_with.get("decoder", "pyav"),
            # plans of before it was recorded go on without
            boxes="" if before and not before[0].boxes else store.fingerprint(),
        )
        if settings.align:
            settings = replace(settings, landmarks=_landmarks(work, store))
        if before is not None:
            refuse_other_settings(folder, asdict(before[0]), settings)
        videos = read_videos_and_parts(work)
        plan, left_out = _planned(work, before, videos, settings, choice, retry_failed)
        by_id = videos.set_index("video_id")
        tasks = [
            _Task(work, number, slices, by_id.loc[[piece.video_id for piece in slices]], settings)
            for number, slices in enumerate(plan)
            if not commit_file(folder, number).exists()
        ]
        total = sum(piece.stop - piece.first for task in tasks for piece in task.slices)
        outcomes = run_tasks(_extract, tasks, jobs, timeout_s, scheduler, shared=work)
        with ProgressBar(work, "extract", total, "crop") as bar:
            lost = _collect(outcomes, bar)
        told = {name for name, _ in lost}
        lost += [
            (shard_name(task.number), f"a worker wrote it, but it isn't in {folder} here")
            for task in tasks
            if shard_name(task.number) not in told and not commit_file(folder, task.number).exists()
        ]
        summaries = read_summaries(folder, len(plan))
        write_checked_json(folder / MANIFEST, manifest_of(summaries, header_of(settings), settings.boxes))
    written = {task.number for task in tasks}
    new = [s for s in summaries if int(Path(s.file).stem.split("-")[1]) in written]
    return ExtractSummary(
        shards=len(new),
        crops=sum(s.crops for s in new),
        bytes=sum(s.bytes for s in new),
        seconds=time.monotonic() - started,
        left_out=left_out,
        missing=tuple((m.video_id, m.count, m.error) for s in summaries for m in s.missing),
        lost=tuple(lost),
        threshold=made_with["threshold"],
        below_threshold=sum(scored_below(folder / s.file, made_with["threshold"]) for s in new),
        planned=len(plan),
    )


def _planned(
    work: Path,
    before: Plan | None,
    videos: pd.DataFrame,
    settings: CropSettings,
    choice: Choice,
    retry_failed: bool,
) -> tuple[list[tuple[PlannedSlice, ...]], dict[str, int]]:
    """Adds to plan.json what is new; all planned shards, and how many videos are left out for which reason."""
    folder = work / "faces"
    folder.mkdir(exist_ok=True)
    sweep(folder)
    plan = before[1] if before else []
    if retry_failed:
        _forget_incomplete(folder, len(plan))
    pending = pending_slices(folder, plan, videos)
    usable, left_out = _usable(videos, choice, settings)
    free = None
    if choice.max_gb:
        free = choice.max_gb * 1e9 - spoken_for(work, plan, pending, videos, settings)
    added, over_budget = plan_shards(work, unplanned(usable, plan, settings), settings, free)
    if over_budget:
        left_out["over --max-gb"] = over_budget
    if added or before is None:
        plan = [*plan, *added]
        write_plan(folder, plan, settings)
    return plan, left_out


def _forget_incomplete(folder: Path, shards: int) -> None:
    """Takes back the commits of shards that lack crops; their files stay until they are replaced."""
    incomplete = [Path(s.file).with_suffix(".json").name for s in read_summaries(folder, shards) if s.missing]
    for name in [MANIFEST, *incomplete] if incomplete else []:
        (folder / name).unlink(missing_ok=True)


def _usable(
    videos: pd.DataFrame, choice: Choice, settings: CropSettings
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The videos to extract, and how many are left out for which reason."""
    unknown = set(choice.methods) - set(videos["method"])
    if unknown:
        raise UserError(
            f"methods={', '.join(sorted(unknown))}: not in WORK; it has {', '.join(sorted(set(videos['method'])))}"
        )
    reasons = videos["status"].fillna(NOT_DETECTED)
    reasons = reasons.where(~reasons.isin(USABLE), "")
    flagged = videos["multiple_faces"].fillna(False).astype(bool) & (reasons == "")
    if not choice.include_multiple_faces:
        if settings.protocol:  # it leaves no test video out
            flagged &= videos["split"] != "test"
        reasons = reasons.mask(flagged, "multiple_faces")
    if choice.methods:
        other = ~videos["method"].isin(choice.methods) & (videos["label"] == 1) & (reasons == "")
        reasons = reasons.mask(other, "other methods")
    if settings.for_training:
        never = ~videos["split"].isin(["train", *EVALUATION_FRAMES]) & (reasons == "")
        reasons = reasons.mask(never, "in no split, so neither training nor evaluation asks for them")
    left_out = reasons[reasons != ""].value_counts()
    return videos[reasons == ""], {str(reason): int(count) for reason, count in left_out.items()}


def _collect(
    outcomes: Iterable[TaskOutcome[_Task, ShardSummary | str]], bar: ProgressBar
) -> list[tuple[str, str]]:
    """Waits for the shards; those that couldn't be written, and why."""
    lost = []
    for outcome in outcomes:
        error = outcome.lost.error if outcome.lost else outcome.result
        slices = outcome.task.slices
        if isinstance(error, str):
            whose = f"{len(slices)} videos, such as {slices[0].video_id}"
            lost.append((shard_name(outcome.task.number), f"{error}; it is to hold crops of {whose}"))
        bar.advance(sum(piece.stop - piece.first for piece in slices))
    return lost


def _landmarks(work: Path, boxes: BoxStore) -> str:
    """The fingerprint of the landmarks of all usable videos.

    Raises:
        UserError: there are none, of other boxes, or not of all.
    """
    landmarks = LandmarkStore(work)
    status = boxes.read_status()
    usable = set(status.loc[status["status"].isin(USABLE), "video_id"])
    lacking = usable - landmarks.done(but=("open_failed", "timeout", "crashed"))
    made_with = landmarks.settings() or {}
    if lacking or made_with.get("boxes") != boxes.fingerprint():
        how = (
            f"{len(lacking)} videos have none, such as {min(lacking)}"
            if lacking
            else "they are of other boxes"
        )
        raise UserError(f"--align needs landmarks: {how}; run  ffpp-prep landmarks {work}  first")
    return landmarks.fingerprint()


def _with_points(part: VideoSlice, reader: PointReader) -> VideoSlice:
    """The same boxes with the columns FIVE, NaN where a face has no points."""
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
