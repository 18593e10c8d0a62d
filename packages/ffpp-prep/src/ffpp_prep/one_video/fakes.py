"""Whether a fake differs from its original, frame by frame and face by face (thesis section 3.2.2).

Both are decoded and compared in blocks of 8 x 8 pixels. A codec leaves differences everywhere, and more of them
where there is texture. So a face counts as touched when its most different blocks differ more than blocks of
like texture do outside of all faces of the same frame. Strong compression wipes faint manipulations out and leaves
noise as large as they were: there it can't be told, and the face counts as touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ffpp_prep.format.geometry import expanded_square
from ffpp_prep.format.schemas import FAKES_SCHEMA
from ffpp_prep.one_video.marks import TouchedTracks, by_difference, by_mask, mask_shares
from ffpp_prep.settings import FakeSettings
from ffpp_prep.text.units import counted
from ffpp_prep.video import VideoError, open_video

__all__ = [
    "BEAT_FRAMES",
    "BLOCK",
    "LEAST_BLOCKS",
    "NOISE_FLOOR",
    "NOISE_SHARE",
    "TEXTURE_CLASSES",
    "TOP_SHARE",
    "Blocks",
    "FaceDifference",
    "FakeCheck",
    "FakeSettings",
    "Image",
    "Status",
    "Verdict",
    "check_fake",
    "compare",
]

Status = Literal["ok", "partial", "size_differs", "open_failed", "timeout", "crashed"]
Verdict = Literal["touched", "untouched", "unknown"]
Image = NDArray[np.uint8]
Blocks = NDArray[np.float32]

BLOCK = 8  # pixels, the block of JPEG and the least of H.264's larger transforms
TOP_SHARE = 0.95  # quantile of a face's blocks: a mouth alone is a tenth of a face
NOISE_SHARE = 0.75  # quantile of the blocks outside faces
NOISE_FLOOR = 0.5  # grey levels: decoders and colour conversion alone differ by so much
TEXTURE_CLASSES = 20
LEAST_BLOCKS = 16  # outside faces, for a noise level to be known
BEAT_FRAMES = 16


@dataclass(frozen=True)
class FakeCheck:
    """One fake measured against its original.

    Attributes:
        video_id: of the fake.
        status: `partial` where one of the two ends early or has lost packets: frames from there on have no rows. Also
            where the mask can't be read: the difference then marks the tracks.
        error: one line where `status` isn't ok.
        frames_decoded: frames that both have.
        faces: faces measured.
        faces_untouched: how many of them don't differ from the original.
        faces_unknown: how many of them might, but the compression hides it; they count as touched.
        frames_untouched: frames with faces of which none is touched.
        changes: how often such a frame follows another kind or the reverse: flicker.
        switches: how often the manipulation goes over to other faces (tracks) altogether.
        tracks_touched: the tracks that were manipulated.
        tracks_unknown: those of which that can't be told; all others weren't.
        marked_by: what says so, `mask` or `difference`; "" where nothing was measured.
        rows: of FAKES_SCHEMA; None where nothing was measured.
    """

    video_id: str
    status: Status
    error: str = ""
    frames_decoded: int = 0
    faces: int = 0
    faces_untouched: int = 0
    faces_unknown: int = 0
    frames_untouched: int = 0
    changes: int = 0
    switches: int = 0
    tracks_touched: tuple[int, ...] = ()
    tracks_unknown: tuple[int, ...] = ()
    marked_by: str = ""
    rows: pa.Table | None = None


@dataclass(frozen=True)
class FaceDifference:
    """One face of one frame, in grey levels of 0…255.

    Attributes:
        difference: mean absolute difference between fake and original inside the face box.
        background: the same outside of all faces; nan where they leave too little.
        contrast: how many times the noise of blocks of like texture the face's most different parts reach;
            nan where that noise isn't known.
        noise: by how much blocks of the face's textures differ outside of all faces: what the codec does to them; nan
            where they leave too little.
    """

    difference: float
    background: float
    contrast: float
    noise: float


def check_fake(
    video_id: str,
    path: str,
    original: str,
    boxes: pd.DataFrame,
    settings: FakeSettings,
    decoder: str = "pyav",
    beat: Callable[[], None] = lambda: None,
    size: tuple[int, int] | None = None,
    mask: str = "",
) -> FakeCheck:
    """Measures every face of a fake; a fault becomes the result's status, never an exception.

    Args:
        video_id: how the rows name the fake.
        path: the fake's file.
        original: the file that it was made from; frame i belongs to frame i.
        boxes: the fake's rows of WORK/boxes, sorted by frame, face.
        settings: what is touched.
        decoder: see `ffpp_prep.video`.
        beat: called every few frames.
        size: width and height of the fake's frames that its boxes were recorded with, where known.
        mask: the video of the fake's mask, "" where there is none.
    """
    faces = {int(str(frame)): group for frame, group in boxes.groupby("frame")}
    found: list[tuple[int, int, int, FaceDifference]] = []  # frame, face, track
    frames, shape = 0, (0, 0)
    try:
        with open_video(path, decoder) as fake_reader, open_video(original, decoder) as original_reader:
            if size is not None:
                fake_reader.match(size)
                original_reader.match(size)
            for fake, real in zip(fake_reader, original_reader, strict=False):
                frames += 1
                here = faces.get(fake.index)
                if here is not None:
                    pictures = fake.rgb(), real.rgb()
                    if pictures[0].shape != pictures[1].shape:
                        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in pictures)
                        return FakeCheck(video_id, "size_differs", f"fake and original are {sizes}")
                    shape = pictures[0].shape[1], pictures[0].shape[0]
                    measured = compare(*pictures, here[["x1", "y1", "x2", "y2"]].to_numpy(np.float64))
                    names = zip(here["face"], here["track"], measured, strict=True)
                    found += [(fake.index, int(face), int(track), d) for face, track, d in names]
                if frames % BEAT_FRAMES == 0:
                    beat()
            error = fake_reader.error or original_reader.error
    except VideoError as failure:
        return FakeCheck(video_id, "open_failed", str(failure))
    if not error and faces and frames <= max(faces):
        error = f"the original has {counted(frames, 'frame')}, the fake more"
    judged = [judge(settings, d) for *_, d in found]
    marks = by_difference((track, verdict) for (_, _, track, _), verdict in zip(found, judged, strict=True))
    if mask and found:
        try:
            marks = by_mask(mask_shares(mask, boxes, shape, decoder, beat), boxes) or marks
        except VideoError as failure:
            error = error or f"marked by the difference, as its mask can't be read: {failure}"
    return _summary(video_id, found, frames, error, judged, marks)


def compare(fake: Image, original: Image, boxes: NDArray[np.float64]) -> list[FaceDifference]:
    """Returns how much each face differs, beside what the codec made differ.

    Args:
        fake, original: (H, W, 3) uint8 RGB, of one size.
        boxes: (K, 4), x1, y1, x2, y2 of all faces in pixels.
    """
    apart = np.maximum(fake, original) - np.minimum(fake, original)
    height, width = (side // BLOCK * BLOCK for side in apart.shape[:2])
    noise, texture = _block_means(apart[:height, :width]), _texture(original[:height, :width])
    outside = np.ones(noise.shape, bool)
    for box in boxes:
        square = expanded_square(*box)
        outside[
            max(0, square.top // BLOCK) : -(-square.bottom // BLOCK),
            max(0, square.left // BLOCK) : -(-square.right // BLOCK),
        ] = False
    known = int(outside.sum()) >= LEAST_BLOCKS
    # Blocks that came out bit by bit the same were coded by the same choices: they say nothing about the noise.
    noisy = outside & (noise > 0)
    background = float(noise[outside].mean()) if known else float("nan")
    result = []
    for x1, y1, x2, y2 in boxes:
        inside = apart[max(0, int(y1)) : int(y2) + 1, max(0, int(x1)) : int(x2) + 1]
        rows, columns = _span(y1, y2, noise.shape[0]), _span(x1, x2, noise.shape[1])
        contrast = level = float("nan")
        if known:
            expected = _expected(texture[noisy], noise[noisy], texture[rows, columns])
            ratio = noise[rows, columns] / (expected + NOISE_FLOOR)
            contrast, level = float(np.quantile(_smoothed(ratio), TOP_SHARE)), float(expected.mean())
        result.append(
            FaceDifference(float(inside.mean()) if inside.size else 0.0, background, contrast, level)
        )
    return result


def _span(low: float, high: float, blocks: int) -> slice:
    """Returns the blocks that lie mostly between two edges in pixels; at least one."""
    first = min(max(round(low / BLOCK), 0), blocks - 1)
    return slice(first, min(max(round(high / BLOCK), first + 1), blocks))


def _block_means(values: NDArray[np.uint8]) -> Blocks:
    """Returns the means of blocks: of values (H, W, C), (H / 8, W / 8)."""
    height, width, channels = values.shape
    rows = values.reshape(height, width // BLOCK, BLOCK * channels).sum(axis=2, dtype=np.uint16)
    sums = rows.reshape(height // BLOCK, BLOCK, width // BLOCK).sum(axis=1, dtype=np.float32)
    return np.asarray(sums / (BLOCK * BLOCK * channels), np.float32)


def _texture(picture: Image) -> Blocks:
    """Returns the mean absolute difference between neighbouring pixels, in each block, of the green channel."""
    green = picture[..., 1]
    steps = np.zeros((*green.shape, 2), np.uint8)
    steps[:, 1:, 0] = np.maximum(green[:, 1:], green[:, :-1]) - np.minimum(green[:, 1:], green[:, :-1])
    steps[1:, :, 1] = np.maximum(green[1:], green[:-1]) - np.minimum(green[1:], green[:-1])
    return _block_means(steps)


def _expected(texture: Blocks, noise: Blocks, wanted: Blocks) -> Blocks:
    """Returns what blocks of the `wanted` texture differ by when only the codec was at work, learnt from the others."""
    if len(noise) < LEAST_BLOCKS:
        return np.zeros_like(wanted)
    order = np.argsort(texture)
    count = min(max(len(order) // LEAST_BLOCKS, 1), TEXTURE_CLASSES)
    classes = np.array_split(order, count)
    levels = [float(np.quantile(noise[members], NOISE_SHARE)) for members in classes]
    centres = [float(texture[members].mean()) for members in classes]
    return np.interp(wanted, centres, levels).astype(np.float32)


def _smoothed(values: Blocks) -> Blocks:
    """Returns means over 3 x 3 blocks: what was manipulated hangs together, noise doesn't."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="edge")
    shifted = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.asarray(np.mean(shifted, axis=0), np.float32)


def _summary(
    video_id: str,
    found: list[tuple[int, int, int, FaceDifference]],
    frames: int,
    error: str,
    verdicts: list[Verdict],
    marks: TouchedTracks,
) -> FakeCheck:
    # Where nothing is known a face counts as touched, as it did without this check.
    touched = [verdict != "untouched" for verdict in verdicts]
    by_frame: dict[int, set[int]] = {}  # frame -> touched tracks
    for (frame, _, track, _), is_touched in zip(found, touched, strict=True):
        by_frame.setdefault(frame, set()).update({track} if is_touched else ())
    tracks = list(by_frame.values())
    return FakeCheck(
        video_id=video_id,
        status="partial" if error else "ok",
        error=error,
        frames_decoded=frames,
        faces=len(found),
        faces_untouched=touched.count(False),
        faces_unknown=verdicts.count("unknown"),
        frames_untouched=sum(not t for t in tracks),
        changes=sum(bool(a) != bool(b) for a, b in pairwise(tracks)),
        switches=sum(not a & b for a, b in pairwise(t for t in tracks if t)),
        tracks_touched=marks.touched,
        tracks_unknown=marks.unknown,
        marked_by=marks.by if found else "",
        rows=_rows(video_id, found, verdicts),
    )


def _rows(
    video_id: str, found: list[tuple[int, int, int, FaceDifference]], verdicts: list[Verdict]
) -> pa.Table:
    columns = {
        "video_id": pa.DictionaryArray.from_arrays(
            pa.array([0] * len(found), pa.int32()), pa.array([video_id])
        ),
        "frame": [frame for frame, *_ in found],
        "face": [face for _, face, *_ in found],
        "difference": [d.difference for *_, d in found],
        "background": [d.background for *_, d in found],
        "contrast": [d.contrast for *_, d in found],
        "noise": [d.noise for *_, d in found],
        "touched": [verdict != "untouched" for verdict in verdicts],
        "unknown": [verdict == "unknown" for verdict in verdicts],
    }
    return pa.table(columns, schema=FAKES_SCHEMA)


def judge(settings: FakeSettings, measured: FaceDifference) -> Verdict:
    """Judges one face from what was measured of it."""
    if measured.contrast >= settings.threshold:
        return "touched"
    # Where the noise isn't known nothing is; nan is in no relation to any number.
    visible = (
        settings.faintest is None or measured.contrast * (measured.noise + NOISE_FLOOR) < settings.faintest
    )
    return "untouched" if measured.contrast < settings.threshold and visible else "unknown"
