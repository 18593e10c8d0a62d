"""The faithful way: a whole film is encoded again, as a platform does, and its faces are found and cut again.

A crop that is encoded by itself is one intra frame: milder than a film by 1 to 2 dB, and its face is where it was found
in the clean film.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dfd_train.data import functional
from dfd_train.errors import UserError
from dfd_train.robustness.conditions import Recoding
from ffpp_prep.format.joined import detection_of
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.format.records import VideoRecord
from ffpp_prep.one_video.boxes import BoxSettings
from ffpp_prep.stages import detect_boxes, find_landmarks
from ffpp_prep.text.bars import bar
from ffpp_prep.video import Encoder, VideoError, open_output, open_video
from ffpp_prep.work.store import write_scan

X265 = "pools=none:frame-threads=1:log-level=error"  # by itself it takes as many threads as there are cores
X265_LEAST = 16  # pixels of a side
TOLD = ("video_id", "dataset", "method", "compression", "split", "original_id", "source_id", "target_id")
RATE = 25.0  # frames a second of a film that doesn't say


def has_codec(name: str) -> bool:
    """Returns whether this build of FFmpeg can write a codec."""
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def recode(source: Path, target: Path, recodings: tuple[Recoding, ...]) -> None:
    """Encodes a film again, once for each recoding, one after another; sound is left out.

    Raises: VideoError where the film can't be read, or is too small for the codec.
    """
    steps = [source, *(target.with_name(f".{target.stem}-{i}.mp4") for i in range(len(recodings)))]
    try:
        for before, after, recoding in zip(steps, steps[1:], recodings, strict=False):
            _encode(before, after, recoding)
        steps[-1].replace(target)
    finally:
        for step in steps[1:]:
            step.unlink(missing_ok=True)


def _encode(source: Path, target: Path, recoding: Recoding) -> None:
    with open_video(source) as reader, open_output(target, format="mp4") as container:
        rate = reader.info.fps or RATE
        kept = min(recoding.rate or rate, rate)
        encoder: Encoder | None = None
        shape = (0, 0)
        for picture in _at_rate((frame.rgb() for frame in reader), rate, kept):
            if encoder is None:
                shape = _size(picture, recoding.side)
                if recoding.codec == "libx265" and min(shape) < X265_LEAST:
                    raise VideoError(
                        f"{source}: {shape[1]}x{shape[0]} pixels; H.265 needs {X265_LEAST} at each side"
                    )
                params = {"x265-params": X265} if recoding.codec == "libx265" else {}
                options = {"crf": f"{recoding.crf:g}", "preset": "medium", **params}
                pace = Fraction(kept).limit_denominator(1001)
                encoder = Encoder(container, shape[1], shape[0], pace, codec=recoding.codec, options=options)
            encoder.write(_scaled(picture, shape))  # a film whose size changes gets that of its first frame
        if encoder is not None:
            encoder.close()


def _at_rate(pictures: Iterator[NDArray[np.uint8]], rate: float, kept: float) -> Iterator[NDArray[np.uint8]]:
    """Yields the pictures that are shown when a slower film changes its own."""
    shown = 0
    for index, picture in enumerate(pictures):
        if index + 1e-6 >= shown * rate / kept:
            shown += 1
            yield picture


def _size(picture: NDArray[np.uint8], side: int | None) -> tuple[int, int]:
    """Returns height and width, the longer one at most `side`, both even as 4:2:0 needs."""
    height, width = picture.shape[:2]
    if not side or side >= max(height, width):
        return max(2, height // 2 * 2), max(2, width // 2 * 2)
    share = side / max(height, width)
    return max(2, round(height * share / 2) * 2), max(2, round(width * share / 2) * 2)


def _scaled(picture: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = shape
    if 0 <= picture.shape[0] - height <= 1 and 0 <= picture.shape[1] - width <= 1:
        return picture[
            :height, :width
        ]  # an odd side loses its last pixels: scaled by them, all would be blurred
    tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
    scaled: NDArray[np.uint8] = (
        functional.resize(tensor, list(shape), antialias=True).permute(1, 2, 0).numpy()
    )
    return np.ascontiguousarray(scaled)


def recoded_set(
    prepared: PreparedSet,
    videos: pd.DataFrame,
    recodings: tuple[Recoding, ...],
    folder: Path,
    detect_every: int | None,
    jobs: int,
) -> PreparedSet:
    """Returns a prepared set of the same videos, encoded and their faces detected again, below `folder`.

    What an earlier command made there is kept. Detection is that of `prepared`, but for `detect_every` where given;
    crops are cut as its own are. A film that can't be read stands in it without a face.

    Raises: UserError where boxes there were made otherwise.
    """
    films, work = folder / "films", folder / "work"
    films.mkdir(parents=True, exist_ok=True)
    records = []
    for number, row in enumerate(bar(list(videos.itertuples()), "films", unit="film", leave=False)):
        film = films / f"{number:06d}.mp4"
        if not film.is_file():
            with suppress(VideoError):  # a clean set has such films too; their row will say so
                recode(Path(row.path), film, recodings)
        told = {name: getattr(row, name) for name in TOLD}
        text = {name: value if isinstance(value, str) else "" for name, value in told.items()}
        records.append(VideoRecord(path=str(film.resolve()), label=int(row.label), **text))
    write_scan(work, records, {"demonstration": str(prepared.demonstration).lower()})
    detect_boxes(work, _settings(prepared, detect_every), jobs=jobs)
    if prepared.geometry.align:
        find_landmarks(work, jobs=jobs)
    return replace(load_prepared(work), recut=prepared.geometry, cutter=prepared.cutter)


def remove_films(folder: Path) -> None:
    """Removes what `recoded_set` made; the predictions stay."""
    shutil.rmtree(folder, ignore_errors=True)


def _settings(prepared: PreparedSet, detect_every: int | None) -> BoxSettings:
    """Returns how the clean set's faces were detected."""
    told = detection_of(prepared)
    several = [name for name, values in told.items() if len(values) > 1]
    if several:
        raise UserError(f"{prepared.places}: its parts were detected with several values of {several[0]}")
    own = {
        name: told[name][0]
        for name in ("threshold", "every", "margin", "decoder", "detector")
        if name in told
    }
    return BoxSettings(**own | ({"every": detect_every} if detect_every else {}))
