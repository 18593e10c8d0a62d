"""What `extract` has to write: which rows of which videos, in which shards, and which videos are left out.

`plan.json` holds it. It only grows, so a shard's content never depends on when it is written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.frames import EVALUATION_FRAMES
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.shard_summaries import commit_file, read_summaries, shard_name
from ffpp_prep.settings import Choice, CropSettings
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted
from ffpp_prep.work.landmarks import LandmarkStore
from ffpp_prep.work.plan import PLAN, PlannedSlice, read_plan
from ffpp_prep.work.planning import pending_slices, plan_shards, spoken_for, unplanned
from ffpp_prep.work.recorded_settings import refuse_other_settings
from ffpp_prep.work.store import BoxStore, read_videos_and_parts

__all__ = ["NOT_DETECTED", "CropPlan", "plan_crops"]

NOT_DETECTED = "boxes not detected yet"  # why a video is left out


@dataclass(frozen=True)
class CropPlan:
    """All shards of a work folder, those to come included."""

    work: Path
    settings: CropSettings
    shards: tuple[tuple[PlannedSlice, ...], ...]
    is_new: bool
    """plan.json lacks some of the shards, or isn't there"""
    videos: pd.DataFrame
    left_out: dict[str, int]
    """reason -> videos"""

    def left(self, retry_failed: bool) -> list[int]:
        """Returns the numbers of the shards that aren't written, and of those that lack crops, if these are
        tried again.
        """
        folder = self.work / "faces"
        written = read_summaries(folder, len(self.shards)) if retry_failed else []
        again = {summary.file for summary in written if summary.missing}
        return [
            number
            for number in range(len(self.shards))
            if shard_name(number) in again or not commit_file(folder, number).exists()
        ]


def plan_crops(work: Path, settings: CropSettings, choice: Choice) -> CropPlan:
    """Adds to what plan.json holds the chosen videos that it lacks; nothing is written.

    Raises:
        UserError: no boxes, or other settings or boxes than before.
    """
    store, folder = BoxStore(work), work / "faces"
    made_with, before = store.made_with(), read_plan(folder)
    settings = replace(
        settings.with_codec(before[0].codec if before else ""),
        decoder=made_with.get("decoder", "pyav"),
        # plans of before it was recorded go on without
        boxes="" if before and not before[0].boxes else store.fingerprint(),
    )
    if settings.align:
        settings = replace(settings, landmarks=_landmarks(work, store))
    if before is not None:
        refuse_other_settings(folder, asdict(before[0]), settings)
    videos = read_videos_and_parts(work)
    plan = before[1] if before else []
    pending = pending_slices(folder, plan, videos)
    usable, left_out = _usable(videos, choice, settings)
    free = None
    if choice.max_gb:
        free = choice.max_gb * 1e9 - spoken_for(work, plan, pending, videos, settings)
    added, over_budget = plan_shards(work, unplanned(usable, plan, settings), settings, free)
    if over_budget:
        left_out["over --max-gb"] = over_budget
    is_new = bool(added) or not (folder / PLAN).exists()
    return CropPlan(work, settings, (*plan, *added), is_new, videos, left_out)


def _usable(
    videos: pd.DataFrame, choice: Choice, settings: CropSettings
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Returns the videos to extract, and how many are left out for which reason."""
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


def _landmarks(work: Path, boxes: BoxStore) -> str:
    """Returns the fingerprint of the landmarks of all usable videos.

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
            f"none of {counted(len(lacking), 'video')}, such as {min(lacking)}"
            if lacking
            else "they are of other boxes"
        )
        raise UserError(f"--align needs landmarks: {how}; run  ffpp-prep landmarks {typed(work)}  first")
    return landmarks.fingerprint()
