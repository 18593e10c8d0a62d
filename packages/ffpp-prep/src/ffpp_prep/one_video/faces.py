"""One video to its face crops: decode, cut the square around each raw box, resize where asked (thesis 4.4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffpp_prep.format.frames import asked_for, spaced_frames
from ffpp_prep.format.geometry import CropGeometry, Image, cut_face
from ffpp_prep.format.points import FIVE
from ffpp_prep.format.segments import Ranges
from ffpp_prep.settings import Align, CropSettings
from ffpp_prep.video import DecodeFailed, beating, open_video

__all__ = ["CropSettings", "are_chosen", "crops"]


def geometry_of(settings: CropSettings) -> CropGeometry:
    """Returns how the crops derive from their boxes."""
    align: Align = "deepfakebench" if settings.align == "deepfakebench" else ""
    return CropGeometry(settings.margin, settings.border, settings.size, align)


def are_chosen(
    frames: NDArray[np.int32],
    scores: NDArray[np.float32],
    split: str,
    length: int,
    settings: CropSettings,
    altered: Ranges | None = None,
) -> NDArray[np.bool_]:
    """Returns which of one video's boxes become crops, by their frames and scores (N,).

    Args:
        frames: of each box.
        scores: of each box.
        split: of the video.
        length: the video's frames.
        settings: of the crops.
        altered: those of its frames that training may show; None for all.
    """
    chosen: NDArray[np.bool_] = scores >= settings.min_score
    if settings.every > 1:
        chosen &= frames % settings.every == 0
    elif settings.frames:
        chosen &= np.isin(frames, spaced_frames(length, settings.frames))
    elif settings.for_training:
        chosen &= np.isin(frames, _asked_for(split, length, settings, altered))
    return chosen


@lru_cache(maxsize=4096)  # many videos have the same length
def _asked_for(split: str, length: int, settings: CropSettings, altered: Ranges | None) -> NDArray[np.int64]:
    asked = asked_for(split, settings.for_training, length, settings.batches, settings.protocol, altered)
    return np.array(asked, np.int64)


def crops(
    path: str,
    boxes: pd.DataFrame,
    settings: CropSettings,
    beat: Callable[[], None] = lambda: None,
    size: tuple[int, int] = (0, 0),
) -> Iterator[tuple[int, Image]]:
    """Decodes a video up to the last wanted frame and yields (row position in `boxes`, crop (h, w, 3) uint8).

    Frames that can't be decoded any more have no crop; the caller sees which rows are missing. `beat` is called every
    few frames, wanted or not. `size` is the width and height that the boxes were recorded with, where known.

    Raises:
        ffpp_prep.video.VideoError: the video can't be opened, or the decoder can't vouch for a frame.
    """
    positions: dict[int, list[int]] = {}
    for position, frame in enumerate(boxes["frame"].tolist()):
        positions.setdefault(frame, []).append(position)
    if not positions:
        return
    last = max(positions)
    corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    points = boxes[list(FIVE)].to_numpy(np.float64).reshape(-1, 5, 2) if settings.align else None
    with open_video(path, settings.decoder) as reader:
        reader.match(size)
        for frame in beating(reader, beat):
            wanted = positions.get(frame.index)
            if wanted:
                picture = frame.rgb()
                for position in wanted:
                    if points is not None and np.isnan(points[position]).any():
                        continue  # a face without points
                    own = None if points is None else points[position]
                    crop = _crop(picture, corners[position].tolist(), geometry_of(settings), own)
                    yield position, crop
                    del crop
                del picture  # its memory is taken for the next one, which costs less than other memory
            if frame.index >= last:
                return


def _crop(
    picture: Image, corners: list[float], geometry: CropGeometry, points: NDArray[np.float64] | None
) -> Image:
    try:
        x1, y1, x2, y2 = corners
        return cut_face(picture, (x1, y1, x2, y2), geometry, points)
    except Exception as error:  # padded beyond memory, or of a shape that can't be resized
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DecodeFailed(f"no crop can be cut out: {reason}") from error
