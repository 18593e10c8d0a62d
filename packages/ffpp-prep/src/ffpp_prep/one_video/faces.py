"""One video to its face crops: decode, cut the square around each raw box, resize where asked (thesis 4.4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ffpp_prep.errors import UserError
from ffpp_prep.format.codecs import codec
from ffpp_prep.format.frames import asked_for, spaced_frames
from ffpp_prep.format.geometry import THESIS_MARGIN, Border, CropGeometry, Image, cut_face
from ffpp_prep.video import DecodeFailed, beating, open_video

__all__ = ["CropSettings", "chosen_boxes", "crops"]


@dataclass(frozen=True)
class CropSettings:
    """What decides the crops; two runs with equal settings write equal pixels.

    Attributes:
        codec: how crops are stored; see `ffpp_prep.format.codecs`.
        margin: how much larger than the raw box the square is (thesis: 0.3).
        border: `clip` to the frame, or `pad` with black beyond it.
        size: side of the stored square in pixels; 0 keeps the native size.
        min_score: boxes below this detector score are left out.
        every: take every K-th frame.
        frames: take this many equally spaced frames a video; 0 for no limit.
        for_training: take just the frames that this many epochs, and the evaluation, ask for; 0 for all.
        decoder: pyav or decord; that of the boxes.
        boxes: fingerprint of the boxes that are cut out by.
    """

    codec: str = "webp"
    margin: float = THESIS_MARGIN
    border: Border = "clip"
    size: int = 0
    min_score: float = 0.0
    every: int = 1
    frames: int = 0
    for_training: int = 0
    decoder: str = field(default="pyav", metadata={"flag": "boxes of --decoder"})
    boxes: str = field(default="", metadata={"flag": "boxes of fingerprint"})

    def __post_init__(self) -> None:
        codec(self.codec)
        for name, value, low, high in (
            ("margin", self.margin, 0, 4),
            ("size", self.size, 0, 4096),
            ("min-score", self.min_score, 0, 1),
            ("every", self.every, 1, 1 << 30),
            ("frames", self.frames, 0, 1 << 30),
            ("for-training", self.for_training, 0, 1 << 20),
        ):
            if not low <= value <= high:
                raise UserError(f"--{name} {value}: must be between {low} and {high}")
        if self.border not in ("clip", "pad"):
            raise UserError(f"--border {self.border}: must be clip or pad")
        if sum((self.every > 1, self.frames > 0, self.for_training > 0)) > 1:
            raise UserError("--every, --frames and --for-training exclude each other; give one of them")

    @property
    def geometry(self) -> CropGeometry:
        """How the crops derive from their boxes."""
        return CropGeometry(self.margin, self.border, self.size)


def chosen_boxes(boxes: pd.DataFrame, split: str, length: int, settings: CropSettings) -> pd.DataFrame:
    """The rows of one video's boxes that become crops, in order."""
    chosen = boxes[boxes["score"] >= settings.min_score]
    if settings.every > 1:
        return chosen[chosen["frame"] % settings.every == 0]
    if settings.frames:
        return chosen[chosen["frame"].isin(spaced_frames(length, settings.frames))]
    if settings.for_training:
        return chosen[chosen["frame"].isin(asked_for(split, settings.for_training, length))]
    return chosen


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
    with open_video(path, settings.decoder) as reader:
        reader.match(size)
        for frame in beating(reader, beat):
            wanted = positions.get(frame.index)
            if wanted:
                picture = frame.rgb()
                for position in wanted:
                    crop = _crop(picture, corners[position].tolist(), settings.geometry)
                    yield position, crop
                    del crop
                del picture  # its memory is taken for the next one, which costs less than other memory
            if frame.index >= last:
                return


def _crop(picture: Image, corners: list[float], geometry: CropGeometry) -> Image:
    try:
        x1, y1, x2, y2 = corners
        return cut_face(picture, (x1, y1, x2, y2), geometry)
    except Exception as error:  # padded beyond memory, or of a shape that can't be resized
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DecodeFailed(f"no crop can be cut out: {reason}") from error
