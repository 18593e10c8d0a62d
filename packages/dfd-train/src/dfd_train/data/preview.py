"""Training crops before and after augmentation, side by side (thesis Fig. 4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd

from dfd_train.data.augmentation import Augmentation
from dfd_train.data.batches import Sample
from dfd_train.data.blend_plan import vouched_frames
from dfd_train.data.fitting import resize
from dfd_train.data.several import places_of
from dfd_train.data.spec import InputSpec
from dfd_train.errors import UserError
from dfd_train.settings.config import RunConfig
from ffpp_prep.format.files import whole_file
from ffpp_prep.format.frames import various_frame
from ffpp_prep.format.geometry import Image
from ffpp_prep.format.prepared import PreparedSet
from ffpp_prep.text.units import counted

GAP = 4  # pixels between crops


def write_preview(
    config: RunConfig, prepared: PreparedSet, videos: pd.DataFrame, spec: InputSpec, out: Path, rows: int = 6
) -> Path:
    """Writes a PNG: a row for each of `rows` videos, the crop as stored, then as four epochs show it.

    `videos` are those of the training split, real and fake in turn. Returns the file's path.
    """
    augmentation = Augmentation(config.transforms, config.degradation, config.train.seed)
    order = np.random.default_rng(config.train.seed).permutation(len(videos))
    shuffled = videos.iloc[order]
    if config.data.batches == "blends":
        first = _first_blends(prepared, shuffled[shuffled["label"] == 0], rows)
    else:
        fakes, reals = (shuffled[shuffled["label"] == label].index[: (rows + label) // 2] for label in (1, 0))
        chosen = [row for pair in zip_longest(fakes, reals) for row in pair if row is not None]
        first = _first_samples(prepared, videos, [int(row) for row in chosen], config)
    sheet = [_row(prepared, augmentation, spec, sample) for sample in first]
    with whole_file(out) as temporary:
        temporary.write_bytes(imagecodecs.png_encode(_stack(sheet, axis=0)))
    return out


def _first_samples(
    prepared: PreparedSet, videos: pd.DataFrame, rows: list[int], config: RunConfig
) -> Iterator[Sample]:
    """Yields what the first epoch shows of each video."""
    places = places_of(videos)
    for number, row in enumerate(rows):
        place = places.get(row)
        length = prepared.length(row) if place is None else len(place.frames)
        index, _ = various_frame(1, length, config.train.epochs, config.data.frame_stride)
        frame, face = (index, 0) if place is None else (int(place.frames[index]), int(place.faces[index]))
        yield Sample(row, frame, face, int(prepared.videos.at[row, "label"]), epoch=1, position=number)


def _first_blends(prepared: PreparedSet, videos: pd.DataFrame, rows: int) -> Iterator[Sample]:
    """Yields a blend of each of the first `rows` videos that have a frame to blend. Raises: UserError without any."""
    vouched = vouched_frames(prepared, videos)
    chosen = [row for row in videos.index.tolist() if len(vouched[row])][:rows]
    if not chosen:
        raise UserError(
            f"no frame can be blended: the face mesh finds no face in {counted(len(videos), 'real video')}"
        )
    for number, row in enumerate(chosen, 1):
        yield Sample(row, int(vouched[row][0]), 0, 1, epoch=1, position=number, blend=True)


def _row(prepared: PreparedSet, augmentation: Augmentation, spec: InputSpec, sample: Sample) -> Image:
    crop = prepared.read_crop_at(sample.video, sample.frame, sample.face)
    pictures = [resize(crop, spec.size).permute(1, 2, 0).numpy()]
    for epoch in range(1, 5):
        shown = sample._replace(epoch=epoch)
        image = augmentation(resize(augmentation.read(prepared, shown), spec.size), shown, spec)
        scaled = image.permute(1, 2, 0).numpy() * np.array(spec.std) + np.array(spec.mean)
        pictures.append((255 * scaled).round().clip(0, 255).astype(np.uint8))
    return _stack(pictures, axis=1)


def _stack(pictures: list[Image], axis: int) -> Image:
    """Returns pictures side by side (axis 1) or below each other (axis 0), white between them."""
    widths = [(0, GAP) if i == axis else (0, 0) for i in range(3)]
    return np.concatenate([np.pad(p, widths, constant_values=255) for p in pictures], axis=axis)
