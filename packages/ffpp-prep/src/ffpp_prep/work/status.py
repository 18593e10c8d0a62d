"""What a person reads about a work folder: `status`, as text."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd

from ffpp_prep.format.shard_summaries import read_summaries
from ffpp_prep.text.units import counted, duration_text, plural, size_text
from ffpp_prep.work.failures import Failure, failure_lines
from ffpp_prep.work.fakes import FakeStore, marked_lines
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.lock import is_at_work
from ffpp_prep.work.plan import read_plan
from ffpp_prep.work.progress import Progress, read_progress
from ffpp_prep.work.store import BoxStore, read_videos
from ffpp_prep.work.usable import usable_lines

__all__ = ["failures_of", "run_lines", "status_text"]

_COLUMNS = (
    "video_id",
    "method",
    "label",
    "split",
    "fake_segments",
    "status",
    "error",
    "fps",
    "frames_decoded",
    "frames_with_face",
    "frames_multi_face",
    "multiple_faces",
)


def status_text(work: str | Path) -> str:
    """Returns videos by method, split and status, failures and their reasons, the run at work, what is extracted, disk.

    Raises:
        ffpp_prep.errors.UserError: no readable videos.parquet in `work`, or damaged tables.
    """
    work = Path(work)
    videos = read_videos(work, _COLUMNS)
    videos["state"] = videos["status"].fillna("to do")
    lines = [f"{work}: {counted(len(videos), 'video')}", "", _counts(videos, "split", "scanned, by split")]
    lines += ["", _counts(videos, "state", "boxes, by status")]
    done = videos[videos["status"].notna()]
    if len(done):
        settings = BoxStore(work).settings() or {}
        detector = settings.get("detector") or "ssd, the thesis's"
        as_is = settings.get("faces") == "as-is"
        by = "each picture is a face, --faces as-is" if as_is else f"boxes by {detector}"
        frames = int(done["frames_decoded"].sum())
        flagged = int(done["multiple_faces"].sum())
        lines += [
            "",
            f"{counted(frames, 'frame')} decoded; a face in {int(done['frames_with_face'].sum()):,} of them; "
            f"{counted(flagged, 'video')} with multiple faces; {by}",
        ]
    if failed := failures_of(videos):
        lines += ["", "not ok:", *failure_lines(failed, work)]
    lines += [*_landmarks(work), *_fakes(work, videos), "", *usable_lines(videos)]
    lines += ["", *_faces(work)]
    if progress := read_progress(work):
        lines += ["", _run(progress, is_at_work(work))]
    return "\n".join(lines)


def run_lines(work: str | Path, every_s: float) -> Iterator[str]:
    """Yields a line on the run at work, looked at every so many seconds, where it says something new, and one when
    it has ended; none where there is none.
    """
    work, before = Path(work), None
    while is_at_work(work):
        if (progress := read_progress(work)) and progress != before:
            yield _run(progress, True)
            before = progress
        time.sleep(every_s)
    if progress := read_progress(work):
        yield _run(progress, False)


def failures_of(videos: pd.DataFrame) -> list[Failure]:
    """Returns what failed among the rows of `read_videos`, in their order."""
    failed = videos[videos["status"].notna() & (videos["status"] != "ok")]
    return list(failed[["video_id", "status", "error"]].itertuples(index=False, name=None))


def _counts(videos: pd.DataFrame, column: str, title: str) -> str:
    table = pd.crosstab(videos["method"], videos[column].fillna("none"), margins=True, margins_name="all")
    table.index.name, table.columns.name = None, None
    return f"{title}\n{table.to_string()}"


def _landmarks(work: Path) -> list[str]:
    """Returns how many faces have their points; nothing where nobody asked for them."""
    status = LandmarkStore(work).read_status()
    if status.empty:
        return []
    faces, none = int(status["faces"].sum()), int((status["faces"] - status["faces_flagged"]).sum())
    failed = int((~status["status"].isin(["ok", "partial"])).sum())
    text = f"landmarks of {counted(faces, 'face')} in {counted(len(status), 'video')}"
    text += f"; the mesh doesn't recognise {none:,} of them as faces"
    return ["", text + (f"; {counted(failed, 'video')} failed" if failed else "")]


def _fakes(work: Path, videos: pd.DataFrame) -> list[str]:
    """Returns how many fakes were measured, and in how many of several faces the manipulated one is known."""
    checks = FakeStore(work).read_status(
        ["status", "faces", "faces_untouched", "tracks_touched", "marked_by"]
    )
    if checks.empty:
        return []
    failed = int((~checks["status"].isin(["ok", "partial"])).sum())
    text = f"{counted(len(checks), 'fake')} measured: {int(checks['faces_untouched'].sum()):,} of "
    text += f"{counted(int(checks['faces'].sum()), 'face')} untouched" + (
        f"; {failed:,} failed" if failed else ""
    )
    return ["", text, *marked_lines(checks.merge(videos[["video_id", "frames_multi_face"]], on="video_id"))]


def _faces(work: Path) -> list[str]:
    """Returns the lines about what is extracted and about the disk."""
    folder = work / "faces"
    boxes = sum(path.stat().st_size for path in (work / "boxes").glob("*.parquet"))
    free = shutil.disk_usage(work).free
    plan = read_plan(folder)
    if plan is None:
        return ["no crops extracted yet", f"disk: boxes {size_text(boxes)}; {size_text(free)} free"]
    shards = plan[1]
    written = read_summaries(folder, len(shards))
    crops, size = sum(s.crops for s in written), sum(s.bytes for s in written)
    missing = sum(m.count for s in written for m in s.missing)
    text = f"{len(written):,} of {counted(len(shards), 'shard')} written: {counted(crops, 'crop')}"
    disk = f"disk: boxes {size_text(boxes)}, crops {size_text(size)}; {size_text(free)} free"
    left = sum(piece.stop - piece.first for shard in shards for piece in shard) - crops - missing
    if left and crops:
        needed = left * size / crops
        disk += f"; for {counted(left, 'crop')} to come about {size_text(needed)}"
        disk += ": MORE THAN IS FREE" if needed > free else ""
    return [text + (f"; could not be decoded: {counted(missing, 'planned crop')}" if missing else ""), disk]


def _run(progress: Progress, at_work: bool) -> str:
    """Returns how far the run is that is at work now, or how the latest one went."""
    per_hour = progress.rate < 1
    rate = f"{progress.rate * (3600 if per_hour else 1):.1f} {plural(2, progress.unit)}/{'h' if per_hour else 's'}"
    took = duration_text(progress.seconds)
    text = f"{progress.done:,} of {counted(progress.total, progress.unit)} in {took}"
    text += f", {rate}" if progress.done else ""
    text += f" ({progress.detail})" if progress.detail else ""
    if not at_work:
        when = datetime.fromtimestamp(progress.updated).astimezone().strftime("%Y-%m-%d %H:%M")
        return f"latest run: {progress.stage}, {text}, until {when}"
    left = progress.seconds_left
    return f"{progress.stage} at work: {text}" + (f"; about {duration_text(left)} left" if left else "")
