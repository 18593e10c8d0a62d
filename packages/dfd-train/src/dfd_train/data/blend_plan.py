"""Which frames of real videos stand beside blends of themselves, in training and where blends are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfd_train.data.batches import Batches, EpochPlan, Shares, Spots, batch_ends
from dfd_train.errors import UserError
from dfd_train.settings.config import DataConfig
from ffpp_prep.format.frames import evaluation_frames, spaced_frames
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.text.typed import typed
from ffpp_prep.text.units import counted

__all__ = ["HELD_OUT_SEED", "Vouched", "plan_blends", "plan_held_out", "vouched_frames", "vouched_sha256"]

Vouched = Mapping[int, npt.NDArray[np.int32]]
"""By a video's row, the frames whose landmarks are a face's, ascending."""
HELD_OUT_SEED = 0  # the same for all runs, so that they can be compared


def vouched_frames(prepared: PreparedSet, videos: pd.DataFrame) -> Vouched:
    """Finds the frames of these videos that can be blended.

    Raises: UserError naming the command where a video has no landmarks.
    """
    found: dict[int, npt.NDArray[np.int32]] = {}
    for own, start in prepared.parts:
        rows = [row for row in videos.index.tolist() if start <= row < start + len(own.videos)]
        names = own.videos["video_id"].loc[[row - start for row in rows]].tolist()
        frames = own.points.vouched_frames(names)
        lacking = [name for name in names if name not in frames]
        if lacking:
            raise UserError(
                f"{own.work} has no landmarks of {counted(len(lacking), 'real video')}, such as {lacking[0]}, "
                f"which blends need; run  ffpp-prep landmarks {typed(own.work)}"
            )
        found |= {row: frames[name] for row, name in zip(rows, names, strict=True)}
    return found


def vouched_sha256(prepared: PreparedSet, vouched: Vouched) -> str:
    """Returns the SHA-256 of the frames that can be blended, by the videos' names; empty where nothing is blended."""
    digest = hashlib.sha256()
    for own, start in prepared.parts:
        rows = (row for row in vouched if start <= row < start + len(own.videos))
        for name, row in sorted((str(own.videos.at[row - start, "video_id"]), row) for row in rows):
            digest.update(f"{name} {len(vouched[row])} ".encode() + vouched[row].tobytes())
    return digest.hexdigest() if vouched else ""


def plan_blends(
    config: DataConfig,
    videos: pd.DataFrame,
    vouched: Vouched,
    *,
    epoch: int,
    seed: int,
    shares: Shares | None = None,
) -> EpochPlan:
    """Plans an epoch (from 1) of equally spaced frames of real videos, each with a blend of itself beside it.

    The frames are the same in every epoch, those that `ffpp-prep extract --frames` stores; the blends are not.
    """
    chosen = {}
    for row, length in _lengths(videos).items():
        chosen[row] = (
            spaced_frames(length, config.train_frames) if config.train_frames else list(range(length))
        )
    spots, left_out = _vouched(chosen, vouched)
    order = np.random.default_rng([seed, epoch])
    drawn = shares.draw(spots[:, 0], order) if shares else order.permutation(len(spots))
    return _beside(spots[drawn], config.batch_size, epoch, 0, left_out)


def plan_held_out(
    videos: pd.DataFrame, vouched: Vouched, frames_per_video: int, batch_size: int
) -> EpochPlan:
    """Plans what `plan_evaluation` does, each frame of a real video with a blend of itself beside it."""
    found = {row: evaluation_frames(length, frames_per_video) for row, length in _lengths(videos).items()}
    spots, left_out = _vouched({row: frames for row, (frames, _) in found.items()}, vouched)
    return _beside(spots, batch_size, 0, sum(count for _, count in found.values()), left_out)


def _lengths(videos: pd.DataFrame) -> dict[int, int]:
    return dict(zip(videos.index.tolist(), videos["frames_decoded"].tolist(), strict=True))


def _vouched(chosen: Mapping[int, list[int]], vouched: Vouched) -> tuple[Spots, int]:
    """Returns the frames whose landmarks are sure, and how many are left out."""
    spots = [
        (row, frame)
        for row, frames in chosen.items()
        for frame, sure in zip(frames, np.isin(frames, vouched[row]).tolist(), strict=True)
        if sure
    ]
    return np.array(spots, np.int32).reshape(-1, 2), sum(map(len, chosen.values())) - len(spots)


def _beside(spots: Spots, batch_size: int, epoch: int, substitutions: int, left_out: int) -> EpochPlan:
    if not len(spots):
        raise UserError("no frame can be blended: the face mesh finds no face in any of those chosen")
    twice = np.repeat(spots, 2, axis=0)
    labels = np.tile(np.array([0, 1], np.int8), len(spots))
    faces, ends = np.zeros(len(twice), np.int8), batch_ends(len(twice), batch_size)
    batches = Batches(twice, labels, faces, ends, epoch, blended=True)
    return EpochPlan(batches, substitutions, without_face=left_out)
