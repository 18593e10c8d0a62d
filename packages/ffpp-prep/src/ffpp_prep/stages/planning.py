"""Which videos' crops go to which shard: consecutive, up to a budget, originals first.

What is planned stays planned (WORK/faces/plan.json); only videos that are in no shard yet are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ffpp_prep.boxes import USABLE
from ffpp_prep.codecs import codec
from ffpp_prep.errors import UsageError
from ffpp_prep.faces import CropSettings, chosen_boxes
from ffpp_prep.manifest import PlannedSlice, commit_file, read_summaries
from ffpp_prep.store import BoxStore

SHARD_BYTES = 256 << 20
FEWEST_SHARDS = 8  # so that a small data set keeps several workers busy too
_COLUMNS = ("video_id", "frame", "score", "x1", "y1", "x2", "y2")


def plan_shards(
    work: Path,
    videos: pd.DataFrame,
    settings: CropSettings,
    free: float | None,
) -> tuple[list[tuple[PlannedSlice, ...]], int]:
    """New shards for `videos`, and how many videos did not fit into the `free` bytes; None for no limit."""
    sizes = dict(_estimated(work, videos, settings))
    order, over = videos["video_id"].tolist(), 0
    if free is not None:
        order = _reals_first(videos)
        reached = np.cumsum([sizes[video_id].sum() for video_id in order])
        fitting = int(np.searchsorted(reached, free, side="right"))
        over, order = len(order) - fitting, order[:fitting]
    total = sum(int(sizes[video_id].sum()) for video_id in order)
    target = min(SHARD_BYTES, max(1 << 20, total // FEWEST_SHARDS + 1))
    return list(_shards([(video_id, sizes[video_id]) for video_id in order], target)), over


def pending_slices(
    folder: Path, plan: Sequence[Sequence[PlannedSlice]], videos: pd.DataFrame
) -> list[PlannedSlice]:
    """What is planned and not written.

    Raises:
        UsageError: boxes that the plan was made from are gone, as after `verify --repair`.
    """
    pending = [
        piece
        for number, shard in enumerate(plan)
        if not commit_file(folder, number).exists()
        for piece in shard
    ]
    gone = {p.video_id for p in pending} - set(videos.loc[videos["status"].isin(USABLE), "video_id"])
    if gone:
        raise UsageError(
            f"{folder}: the boxes of {len(gone)} planned videos are gone, such as {min(gone)}; "
            f"run  ffpp-prep boxes {folder.parent} --retry-failed  first, or remove {folder}"
        )
    return pending


def spoken_for(
    work: Path,
    plan: Sequence[Sequence[PlannedSlice]],
    pending: Sequence[PlannedSlice],
    videos: pd.DataFrame,
    settings: CropSettings,
) -> float:
    """Bytes of the shards that there are, and about those of the ones that are planned."""
    used = sum(summary.bytes for summary in read_summaries(work / "faces", len(plan)))
    planned = videos[videos["video_id"].isin({p.video_id for p in pending})]
    sizes = dict(_estimated(work, planned, settings))
    return used + sum(float(sizes[p.video_id][p.first : p.stop].sum()) for p in pending)


def _estimated(
    work: Path, videos: pd.DataFrame, settings: CropSettings
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """For each video, about how many bytes each of its chosen crops will take."""
    ratio = codec(settings.codec).ratio
    known = {r.video_id: (r.split, int(r.frames_decoded)) for r in videos.itertuples()}
    for boxes in BoxStore(work).each_part(known, _COLUMNS):
        sides = np.maximum(boxes["x2"] - boxes["x1"], boxes["y2"] - boxes["y1"]) * (1 + settings.margin)
        rows = boxes[["frame", "score"]].assign(side=settings.size or sides)
        for video_id, own in rows.groupby(boxes["video_id"], sort=False):
            chosen = chosen_boxes(own, *known[video_id], settings)
            yield video_id, chosen["side"].to_numpy(np.float64) ** 2 * 3 / ratio


def _reals_first(videos: pd.DataFrame) -> list[str]:
    turn = videos.groupby("method").cumcount()
    ordered = videos.assign(turn=turn).sort_values(["label", "turn", "method"], kind="stable")
    return [str(v) for v in ordered["video_id"]]


def _shards(
    sizes: Sequence[tuple[str, np.ndarray[Any, Any]]], target: float
) -> Iterator[tuple[PlannedSlice, ...]]:
    """Fills shards with consecutive videos up to `target` bytes; a video that doesn't fit goes on in the next."""
    shard: list[PlannedSlice] = []
    room = target
    for video_id, estimates in sizes:
        first = 0
        while first < len(estimates):
            fitting = int(np.searchsorted(np.cumsum(estimates[first:]), room, side="right"))
            stop = min(len(estimates), first + max(fitting, 0 if shard else 1))
            if stop > first:
                shard.append(PlannedSlice(video_id, first, stop))
                room -= float(estimates[first:stop].sum())
                first = stop
            if first < len(estimates):
                yield tuple(shard)
                shard, room = [], target
    if shard:
        yield tuple(shard)
