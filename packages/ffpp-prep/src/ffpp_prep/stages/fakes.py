"""Which faces of the fakes were manipulated at all -> WORK/fakes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.schemas import CHECKS_SCHEMA, USABLE
from ffpp_prep.jobs import Beat, Lost, run_tasks
from ffpp_prep.one_video.fakes import FakeCheck, check_fake
from ffpp_prep.settings import FakeSettings
from ffpp_prep.stages.collect import collect, recorded
from ffpp_prep.work.fakes import FakeStore
from ffpp_prep.work.lock import only_run
from ffpp_prep.work.progress import ProgressBar
from ffpp_prep.work.store import BoxStore, read_videos_and_parts

__all__ = ["FAILED", "FakesSummary", "check_fakes"]

FAILED = ("open_failed", "timeout", "crashed")  # what --retry-failed tries


@dataclass(frozen=True)
class FakesSummary:
    """What a run of `check_fakes` did, and what all of WORK's checks say.

    Attributes:
        statuses: fakes of this run by status.
        skipped: fakes that were done before.
        frames, seconds: of this run.
        left_out: why fakes can't be measured -> how many.
        checks: one row a measured fake: the columns of CHECKS_SCHEMA, `method` and `frames_multi_face`.
        asks_compression: whether a face is unknown if compression may hide its manipulation; older folders, which
            didn't ask that, may call it untouched.
    """

    statuses: dict[str, int]
    skipped: int
    frames: int
    seconds: float
    left_out: dict[str, int]
    checks: pd.DataFrame
    asks_compression: bool


@dataclass(frozen=True)
class _Task:
    video_id: str
    path: str
    original: str
    work: Path
    part: str  # of boxes, with the fake's
    settings: FakeSettings
    decoder: str
    size: tuple[int, int]
    mask: str


def check_fakes(
    work: str | Path,
    jobs: int = 1,
    retry_failed: bool = False,
    timeout_s: float = 300.0,
    scheduler: str = "",
    settings: FakeSettings | None = None,
) -> FakesSummary:
    """Measures every fake of WORK that has boxes, an original with boxes, and no committed check yet.

    Args:
        work: a folder with boxes.
        jobs: worker processes on this machine, one fake each.
        retry_failed: try the fakes again whose check failed.
        timeout_s: seconds without progress after which a worker is stopped.
        scheduler: address of a Dask scheduler, whose workers then do the work instead of `jobs`.
        settings: what counts as touched; must equal those of the fakes that were measured before.

    Raises:
        UserError: no boxes, checks of other boxes, or another run at work.
        FatalError: the disk is full.
    """
    work = Path(work).resolve()
    if jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    boxes, store = BoxStore(work), FakeStore(work)
    made_with = boxes.made_with()
    settings = _settings(boxes, store, settings)
    started = time.monotonic()
    with only_run(work):
        store.begin(settings)
        fakes, left_out = _measurable(read_videos_and_parts(work))
        left = _left(store, fakes, retry_failed)
        tasks = [
            _Task(
                r.video_id,
                r.path,
                r.original,
                work,
                r.part,
                settings,
                made_with.get("decoder", "pyav"),
                (int(r.width), int(r.height)),
                r.mask_path,
            )
            for r in left.itertuples()
        ]
        statuses: Counter[str] = Counter()
        with ProgressBar(work, "check-fakes", len(tasks), "video") as bar:
            outcomes = (
                run_tasks(_check, tasks, jobs, timeout_s, scheduler, shared=work, look=bar.look)
                if tasks
                else ()
            )
            frames = collect(
                outcomes, _given_up, lambda part: store.commit_part(part, settings, {}), bar, statuses
            )
        checks = (
            store.read_status()
            .drop(columns="part")
            .merge(fakes[["video_id", "method", "frames_multi_face"]], on="video_id")
        )
        checks = checks.assign(faces_unknown=checks["faces_unknown"].fillna(0).astype("int32"))
    seconds = time.monotonic() - started
    asked = settings.faintest is not None
    return FakesSummary(dict(statuses), len(fakes) - len(tasks), frames, seconds, left_out, checks, asked)


def fakes_left(
    work: str | Path, retry_failed: bool = False, settings: FakeSettings | None = None
) -> tuple[int, int, dict[str, int]]:
    """Returns how many fakes `check_fakes` would measure, how many can be measured, and why others can't; writes
    nothing.

    Raises:
        UserError: no boxes, or checks of other boxes or with other settings.
    """
    boxes, store = BoxStore(Path(work)), FakeStore(Path(work))
    boxes.made_with()
    store.refuse_other(_settings(boxes, store, settings))
    fakes, left_out = _measurable(read_videos_and_parts(Path(work)))
    return len(_left(store, fakes, retry_failed)), len(fakes), left_out


def _settings(boxes: BoxStore, store: FakeStore, settings: FakeSettings | None) -> FakeSettings:
    settings = replace(settings or FakeSettings(), boxes=boxes.fingerprint())
    before = store.settings()
    if before is not None and "faintest" not in before:
        return replace(settings, faintest=None)  # folders of before it was asked for go on without
    return settings


def _left(store: FakeStore, fakes: pd.DataFrame, retry_failed: bool) -> pd.DataFrame:
    done = store.done(but=FAILED if retry_failed else ()) - _unmarked(store, fakes)
    return fakes[~fakes["video_id"].isin(done)]


def _unmarked(store: FakeStore, fakes: pd.DataFrame) -> set[str]:
    """Returns the fakes of several faces that were measured before tracks were marked: they are measured again."""
    status = store.read_status(["marked_by"])
    several = fakes.loc[fakes["frames_multi_face"] > 0, "video_id"]
    return set(status.loc[status["marked_by"].isna(), "video_id"]).intersection(several)


def _measurable(videos: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Returns the fakes to measure, with `original` (its file)."""
    usable = videos[videos["status"].isin(USABLE)].set_index("video_id")
    fakes = videos[videos["label"] == 1]
    reasons = pd.Series("", index=fakes.index)
    reasons[~fakes["original_id"].isin(usable.index)] = "original has no boxes"
    reasons[fakes["original_id"] == ""] = "no original on disk"
    reasons[~fakes["video_id"].isin(usable.index)] = "no boxes"
    counts = reasons[reasons != ""].value_counts()
    fakes = fakes[reasons == ""]
    fakes = fakes.assign(original=usable["path"].reindex(fakes["original_id"]).to_numpy())
    return fakes, {str(reason): int(count) for reason, count in counts.items()}


def _check(task: _Task, beat: Beat) -> FakeCheck:
    boxes = BoxStore(task.work).read_part(task.part, {task.video_id})  # a damaged part is no video's fault
    return recorded(
        lambda: check_fake(
            task.video_id,
            task.path,
            task.original,
            boxes,
            task.settings,
            task.decoder,
            beat,
            task.size,
            task.mask,
        ),
        partial(FakeCheck, task.video_id, "open_failed"),
        CHECKS_SCHEMA,
    )


def _given_up(task: _Task, lost: Lost) -> FakeCheck:
    return FakeCheck(task.video_id, lost.status, lost.error)
