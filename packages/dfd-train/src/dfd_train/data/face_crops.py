"""A prepared set as a PyTorch dataset, for your own training loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, WeightedRandomSampler

from dfd_train.data.fitting import normalize, resize
from dfd_train.data.spec import InputSpec
from dfd_train.errors import UserError
from ffpp_prep.format import choose_crops, load_prepared
from ffpp_prep.format.geometry import Image

__all__ = ["FaceCrops"]


class FaceCrops(Dataset[tuple[Any, int]]):
    """The face crops of a WORK folder, each with its label: 1 fake, 0 real.

    Open files belong to the process that reads, so a `DataLoader` may have any number of workers.

    Example:
        >>> crops = FaceCrops("work", split="train", frames=8)  # doctest: +SKIP
        >>> loader = DataLoader(crops, batch_size=32, sampler=crops.balanced_sampler(), num_workers=2)
        >>> for pictures, labels in loader:
        ...     loss = binary_cross_entropy_with_logits(network(pictures)[:, 0], labels.float())

    Args:
        work: the folder that `ffpp-prep` wrote.
        split: train, val, test or unused; empty for all videos.
        frames: at most this many per video, equally spaced among the existing ones; 0 for all.
        transform: called with each crop, (height, width, 3) uint8 RGB of any size and shape; it returns the
            first half of an item. None: (3, size, size) float32, resized bilinearly with antialiasing, from -1 to 1,
            as the networks of `reseption_models` take it.
        size: the pictures' side in pixels, without a `transform`.
        min_score: leave out faces that the detector scored lower; None for the threshold of `ffpp-prep boxes`.
        stored: take only crops that `ffpp-prep extract` stored, if it stored any. Others are cut from their videos.

    Attributes:
        table: one row per item: `row` (of `prepared.videos`), `frame`, `score`, `label`.
        prepared: the set itself; `prepared.videos` has each video's method, split and identities.

    Raises:
        FileNotFoundError: there is no such folder, or nothing was scanned into it.
        UserError: a value is out of its range, no crop is left, or a file is damaged.
    """

    def __init__(
        self,
        work: str | Path,
        split: str = "",
        frames: int = 0,
        transform: Callable[[Image], Any] | None = None,
        size: int = 299,
        min_score: float | None = None,
        stored: bool = True,
    ) -> None:
        if size < 1:
            raise UserError(f"size={size}: must be at least 1 pixel")
        self.prepared = load_prepared(work)
        self.table = choose_crops(self.prepared, split, frames, min_score, stored)
        self._transform, self._input = transform, InputSpec(size)
        columns = self.table[["row", "frame", "label"]]
        self._places = columns.to_numpy(
            np.int64
        )  # forked workers share it, which they wouldn't with a table's columns

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row, frame, label = self._places[index].tolist()
        crop = self.prepared.read_crop_at(row, frame)
        if self._transform is not None:
            return self._transform(crop), label
        return normalize(resize(crop, self._input.size), self._input), label

    def balanced_sampler(self, seed: int = 0) -> WeightedRandomSampler:
        """Draws as many items as there are, real and fake equally often, and within each every video equally often.

        Args:
            seed: the same one gives the same order.

        Raises:
            UserError: all items are of one class.
        """
        if self.table["label"].nunique() < 2:
            only = "fake" if self.table["label"].iloc[0] else "real"
            raise UserError(
                f"balanced_sampler: there are {only} crops only, {len(self)}; both classes are needed"
            )
        per_video = self.table.groupby("row")["frame"].transform("size")
        videos = self.table.drop_duplicates("row")["label"].value_counts()
        weights = 1.0 / (per_video * self.table["label"].map(videos))
        generator = torch.Generator().manual_seed(seed)
        return WeightedRandomSampler(weights.tolist(), len(self), generator=generator)
