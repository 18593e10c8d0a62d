"""Which videos' crops go to which shard: consecutive, up to a budget, originals first.

What is planned stays planned (WORK/faces/plan.json). Added are videos that are in no shard yet, and of those whose
split has changed since the frames that only the new one asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.errors import UserError
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.schemas import USABLE
from ffpp_prep.format.segments import altered_frames
from ffpp_prep.format.shard_summaries import commit_file, read_summaries
from ffpp_prep.one_video.faces import are_chosen
from ffpp_prep.settings import CropSettings
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted
from ffpp_prep.work.plan import PlannedSlice
from ffpp_prep.work.shards import VideoSlice
from ffpp_prep.work.store import BoxStore

SHARD_BYTES = 256 << 20
FEWEST_SHARDS = 8  # so that a small data set keeps several workers busy too
_COLUMNS = ("video_id", "frame", "score", "x1", "y1", "x2", "y2")

Wanted = tuple[str, tuple[str, ...]]  # a video, and which of its frames: `PlannedSlice.splits`
Sizes = np.ndarray[Any, Any]  # about how many bytes each crop will take

OF_CROPS = ("video_id", "frame", "pts", "face", "score", "x1", "y1", "x2", "y2")


def unplanned(
    videos: pd.DataFrame, plan: Sequence[Sequence[PlannedSlice]], settings: CropSettings
) -> pd.DataFrame:
    """Returns the `videos` that the plan lacks, or lacks frames of, with the column `splits` of `PlannedSlice`."""
    planned = {piece.video_id: piece.splits for shard in plan for piece in shard}  # the latest has the most
    found = {}
    for row, video_id, asking in zip(videos.index, videos["video_id"], _asking(videos), strict=True):
        before = planned.get(video_id, ())
        if video_id not in planned or (before and asking not in before):
            found[row] = (*before, asking) if settings.for_training else ()
    return videos.loc[list(found)].assign(splits=pd.Series(found, dtype=object))


class _Video(NamedTuple):
    """What there is to know of a video to choose its frames; `asking` as in `PlannedSlice.splits`."""

    asking: str
    length: int
    fps: float

    def chosen(
        self,
        frames: NDArray[np.int32],
        scores: NDArray[np.float32],
        splits: Sequence[str],
        settings: CropSettings,
    ) -> NDArray[np.intp]:
        """Returns which of the video's boxes only the last of `splits` chooses, by frames and scores (N,)."""
        *before, last = splits or (self.asking,)
        chosen = self._asked(frames, scores, last, settings)
        for other in before:
            chosen &= ~np.isin(frames, frames[self._asked(frames, scores, other, settings)])
        return np.flatnonzero(chosen)

    def _asked(
        self, frames: NDArray[np.int32], scores: NDArray[np.float32], asking: str, settings: CropSettings
    ) -> NDArray[np.bool_]:
        split, _, segments = asking.partition(" ")
        altered = altered_frames(segments, self.fps, self.length)
        return are_chosen(frames, scores, split, self.length, settings, altered)


def _asking(videos: pd.DataFrame) -> list[str]:
    """Returns what each video is asked for, as in `PlannedSlice.splits`."""
    whole = (videos["split"] != "train") | (videos["label"] != 1) | (videos["fake_segments"] == "")
    asking = videos["split"].where(whole, videos["split"] + " " + videos["fake_segments"])
    return [str(text) for text in asking]


def _known(videos: pd.DataFrame) -> dict[str, _Video]:
    values = zip(_asking(videos), videos["frames_decoded"].astype(int), videos["fps"], strict=True)
    return dict(zip(videos["video_id"], (_Video(*each) for each in values), strict=True))


def _places(video_ids: pd.Series) -> dict[str, NDArray[np.intp]]:
    """Returns where each video's rows are, in order."""
    codes, names = pd.factorize(video_ids)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return dict(zip(map(str, names), np.split(order, ends[:-1]), strict=True)) if len(names) else {}


def plan_shards(
    work: Path,
    videos: pd.DataFrame,
    settings: CropSettings,
    free: float | None,
) -> tuple[list[tuple[PlannedSlice, ...]], int]:
    """Returns new shards for `videos` (see `unplanned`), and how many did not fit into the `free` bytes; None
    for no limit.
    """
    order, over = _wanted(videos if free is None else _reals_first(videos)), 0
    sizes = _estimated(work, order, videos, settings)
    if free is not None:
        reached = np.cumsum([sizes[wanted].sum() for wanted in order])
        fitting = int(np.searchsorted(reached, free, side="right"))
        over, order = len(order) - fitting, order[:fitting]
    total = sum(int(sizes[wanted].sum()) for wanted in order)
    target = min(SHARD_BYTES, max(1 << 20, total // FEWEST_SHARDS + 1))
    return list(_shards([(wanted, sizes[wanted]) for wanted in order], target)), over


def pending_slices(
    folder: Path, plan: Sequence[Sequence[PlannedSlice]], videos: pd.DataFrame
) -> list[PlannedSlice]:
    """Returns what is planned and not written.

    Raises:
        UserError: boxes that the plan was made from are gone, as after `verify --repair`.
    """
    pending = [
        piece
        for number, shard in enumerate(plan)
        if not commit_file(folder, number).exists()
        for piece in shard
    ]
    gone = {p.video_id for p in pending} - set(videos.loc[videos["status"].isin(USABLE), "video_id"])
    if gone:
        raise UserError(
            f"{folder}: the boxes of {counted(len(gone), 'planned video')} are gone, such as {min(gone)}; "
            f"run  ffpp-prep boxes {typed(folder.parent)} --retry-failed  first, or remove {folder}"
        )
    return pending


def spoken_for(
    work: Path,
    plan: Sequence[Sequence[PlannedSlice]],
    pending: Sequence[PlannedSlice],
    videos: pd.DataFrame,
    settings: CropSettings,
) -> float:
    """Returns bytes of the shards that there are, and about those of the ones that are planned."""
    used = sum(summary.bytes for summary in read_summaries(work / "faces", len(plan)))
    sizes = _estimated(work, [(p.video_id, p.splits) for p in pending], videos, settings)
    return used + sum(float(sizes[p.video_id, p.splits][p.first : p.stop].sum()) for p in pending)


def _wanted(videos: pd.DataFrame) -> list[Wanted]:
    return list(videos[["video_id", "splits"]].itertuples(index=False, name=None))


def _estimated(
    work: Path, wanted: Iterable[Wanted], videos: pd.DataFrame, settings: CropSettings
) -> dict[Wanted, Sizes]:
    """Returns the sizes of all that is wanted; `videos` are all that it is of, or more."""
    ratio = codec(settings.codec).ratio
    splits: dict[str, set[tuple[str, ...]]] = {}
    for video_id, asking in wanted:
        splits.setdefault(video_id, set()).add(asking)
    asked = videos[videos["video_id"].isin(splits)]
    known = _known(asked)
    found = {}
    for boxes in BoxStore(work).each_part(splits, _COLUMNS):
        sides = np.maximum(boxes["x2"] - boxes["x1"], boxes["y2"] - boxes["y1"]) * (1 + settings.margin)
        if settings.size:
            sides[:] = settings.size
        estimates = sides.to_numpy(np.float64) ** 2 * 3 / ratio
        frames, scores = boxes["frame"].to_numpy(), boxes["score"].to_numpy()
        for video_id, own in _places(boxes["video_id"]).items():
            for asking in splits[video_id]:
                chosen = known[video_id].chosen(frames[own], scores[own], asking, settings)
                found[video_id, asking] = estimates[own[chosen]]
    return found


def _reals_first(videos: pd.DataFrame) -> pd.DataFrame:
    turn = videos.groupby("method").cumcount()
    return videos.assign(turn=turn).sort_values(["label", "turn", "method"], kind="stable")


def _shards(sizes: Sequence[tuple[Wanted, Sizes]], target: float) -> Iterator[tuple[PlannedSlice, ...]]:
    """Fills shards with consecutive videos up to `target` bytes; a video that doesn't fit goes on in the next."""
    shard: list[PlannedSlice] = []
    room = target
    for (video_id, splits), estimates in sizes:
        first = 0
        while first < len(estimates):
            fitting = int(np.searchsorted(np.cumsum(estimates[first:]), room, side="right"))
            stop = min(len(estimates), first + max(fitting, 0 if shard else 1))
            if stop > first:
                shard.append(PlannedSlice(video_id, first, stop, splits))
                room -= float(estimates[first:stop].sum())
                first = stop
            if first < len(estimates):
                yield tuple(shard)
                shard, room = [], target
    if shard:
        yield tuple(shard)


def planned_rows(
    store: BoxStore,
    videos: pd.DataFrame,
    pieces: Sequence[PlannedSlice],
    settings: CropSettings,
    columns: Sequence[str] = OF_CROPS,
) -> tuple[pd.DataFrame, list[NDArray[np.intp]]]:
    """Returns the boxes of the videos of these pieces, and which of them each piece is to hold.

    Args:
        store: where the boxes are.
        videos: rows of `read_videos_and_parts`, by `video_id`.
        pieces: what is planned.
        settings: of the crops.
        columns: of the boxes; among them video_id, frame and score.
    """
    rows = store.read_rows(status=videos.reset_index(), columns=columns)
    frames, scores, places = rows["frame"].to_numpy(), rows["score"].to_numpy(), _places(rows["video_id"])
    known = _known(videos.reset_index())
    found = []
    for piece in pieces:
        own = places[piece.video_id]
        chosen = known[piece.video_id].chosen(frames[own], scores[own], piece.splits, settings)
        found.append(own[chosen[piece.first : piece.stop]])
    return rows, found


def planned_slices(
    store: BoxStore, videos: pd.DataFrame, pieces: Sequence[PlannedSlice], settings: CropSettings
) -> list[VideoSlice]:
    """Returns what a shard of these pieces is to hold; `videos`: their rows of `read_videos_and_parts`, by
    `video_id`.
    """
    rows, chosen = planned_rows(store, videos, pieces, settings)
    slices = []
    for piece, own in zip(pieces, chosen, strict=True):
        row = videos.loc[piece.video_id]
        slices.append(
            VideoSlice(
                video_id=piece.video_id,
                path=row["path"],
                method=row["method"],
                original_id=row["original_id"],
                label=int(row["label"]),
                boxes=rows.iloc[own],
                size=(int(row["width"]), int(row["height"])),
            )
        )
    return slices
