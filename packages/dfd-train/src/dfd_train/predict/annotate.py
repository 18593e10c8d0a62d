"""The video once more, with its faces marked and its sound kept: H.264 in MP4, which every browser plays."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import PIL.Image
from av.video.reformatter import Interpolation

from dfd_train.errors import UserError
from dfd_train.predict.drawing import Mark, draw_marks
from dfd_train.predict.faces import Advance, Footage
from ffpp_prep.format.geometry import Image
from ffpp_prep.video import Encoder, OpenFailed, open_container, open_output

log = logging.getLogger(__name__)

LONGEST_SIDE = 1280  # pixels; larger videos are shown smaller
LINGER_S = 0.25  # half of the time between two looks: a face was there a little before and after
STILL = 640  # pixels of a still's longer side, at most
TINY = 1e-6  # seconds
CLOCK = Fraction(1, 90_000)
QUALITY = {"crf": "21", "preset": "veryfast"}
KEPT_SOUND = frozenset({"aac", "mp3", "opus", "flac"})  # that browsers play from MP4; other is encoded anew


@dataclass(frozen=True)
class Still:
    """One picture of the annotated video, as JPEG; time in seconds."""

    time: float
    jpeg: bytes
    highest: bool = False
    """of the frame with the highest score"""


def annotate_video(
    source: Path,
    target: Path,
    marks: Marks,
    threshold: float | None,
    note: str,
    advance: Advance = lambda at, duration: None,
    keep: Sequence[float] = (),
) -> tuple[Still, ...]:
    """Writes `target` (.mp4); returns the pictures at the times `keep`, rising, or the first ones after them.

    Raises: UserError where the source can't be read; av.FFmpegError, OSError where the target can't be written.
    """
    with Footage(source) as footage, open_output(target, faststart=True) as out:
        if note:
            out.metadata["comment"] = note
        frames = iter(footage)
        first = next(frames, None)
        if first is None:
            raise UserError(f"{source.name}: no frame could be decoded")
        width, height = _shown_size(first[0].rgb())
        rate = Fraction(footage.rate).limit_denominator(1001)
        video = Encoder(out, width, height, rate, options=QUALITY, threads=2, time_base=CLOCK)
        sound = _Sound(source, footage.start, out)
        last_pts, waiting = -1, list(keep)
        stills: list[Still] = []
        for frame, at in _chain(first, frames):
            picture = frame.rgb()
            scale = np.array([width / picture.shape[1], height / picture.shape[0]] * 2)
            shown = draw_marks(_resize(picture, width, height), marks.at(at, scale), threshold, note)
            last_pts = max(last_pts + 1, round(at / CLOCK))
            video.write(shown, last_pts)
            if waiting and at >= waiting[0] - TINY:
                stills.append(Still(at, _jpeg(shown)))
                waiting = [time for time in waiting if time - TINY > at]
            sound.copy_until(at)
            advance(at, footage.duration)
        video.close()
        sound.copy_until(last_pts * float(CLOCK) + 1 / footage.rate)
        sound.close()
    return tuple(stills)


class Marks:
    """Where each face is at any time of a video, and its latest score.

    Asked for rising times; faces: rows of `Analysis.faces` with a column `prob`.
    """

    def __init__(self, faces: pd.DataFrame) -> None:
        self._waiting = sorted(
            (
                _Path(
                    int(track) + 1,
                    own["time"].to_numpy(np.float64),
                    own[["x1", "y1", "x2", "y2"]].to_numpy(np.float64),
                    own["prob"].ffill().bfill().to_numpy(np.float64),
                )
                for track, own in faces.groupby("track")
            ),
            key=lambda path: path.start,
        )
        self._present: list[_Path] = []

    def at(self, time: float, scale: np.ndarray) -> list[Mark]:
        """Returns the faces at a time, boxes multiplied by `scale` (4,)."""
        while self._waiting and self._waiting[0].start <= time:
            self._present.append(self._waiting.pop(0))
        self._present = [path for path in self._present if path.end >= time]
        return [path.at(time, scale) for path in self._present]


class _Path:
    def __init__(self, face: int, times: np.ndarray, boxes: np.ndarray, probs: np.ndarray) -> None:
        self.face, self.times, self.boxes, self.probs = face, times, boxes, probs
        self.start, self.end = times[0] - LINGER_S, times[-1] + LINGER_S

    def at(self, time: float, scale: np.ndarray) -> Mark:
        x1, y1, x2, y2 = (float(np.interp(time, self.times, side)) for side in self.boxes.T)
        nearest = int(np.abs(self.times - time).argmin())
        prob = float(self.probs[nearest])
        box = (x1 * scale[0], y1 * scale[1], x2 * scale[2], y2 * scale[3])
        return Mark(self.face, box, None if np.isnan(prob) else prob)


class _Sound:
    """The first sound track of a file, copied as it is where MP4 can hold it, else encoded anew as AAC.

    Where its clock starts anew, the rest is left out.
    """

    def __init__(self, source: Path, start: float, out: Any) -> None:
        self._out, self._start, self._encoder = out, start, None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        self._latest: int | None = None
        self._container: Any = None
        try:
            self._container = open_container(source)
        except OpenFailed:  # an animated picture
            return
        streams = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        if not streams:
            return
        stream = streams[0]
        if stream.codec_context.codec.canonical_name in KEPT_SOUND:
            self._stream = out.add_stream_from_template(stream)
        else:
            self._stream = self._encoder = out.add_stream(
                "aac", rate=stream.codec_context.sample_rate or 48_000
            )
            self._encoder.layout = "stereo" if stream.codec_context.channels > 1 else "mono"
        self._packets = (packet for packet in self._container.demux(stream) if packet.pts is not None)
        self._advance()

    def copy_until(self, time: float) -> None:
        """Writes the sound up to a time of the video."""
        while self._next is not None and float(self._next.pts * self._next.time_base) - self._start <= time:
            self._write(self._next)
            self._advance()

    def close(self) -> None:
        """Writes what is left in the encoder."""
        if self._encoder is not None:
            self._out.mux(self._encoder.encode(None))
        if self._container is not None:
            self._container.close()

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except (av.FFmpegError, ValueError) as error:  # some of PyAV's own; so below
            log.warning("the sound ends early: %s", error)
            self._next = None

    def _write(self, packet: Any) -> None:
        if self._latest is not None and packet.pts <= self._latest:
            return
        self._latest = packet.pts
        shift = round(self._start / packet.time_base)
        lead_in = (
            2 * (packet.duration or 0) if self._encoder is None else 0
        )  # decoders warm up on it, unheard
        if packet.pts + lead_in < shift:  # before the first picture
            return
        if self._encoder is None:
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            self._out.mux(packet)
            return
        try:
            for frame in packet.decode():
                frame.pts = None if frame.pts is None else frame.pts - shift
                self._out.mux(self._encoder.encode(frame))
        except (av.FFmpegError, ValueError) as error:
            log.debug("a packet of sound is left out: %s", error)


def _shown_size(picture: Image) -> tuple[int, int]:
    """Returns the width and height of the annotated video: not above LONGEST_SIDE, even, as H.264 wants them."""
    height, width = picture.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _resize(picture: Image, width: int, height: int) -> Image:
    if picture.shape[:2] == (height, width):
        return picture
    frame: Any = av.VideoFrame.from_ndarray(picture, format="rgb24")
    resized: Image = frame.reformat(
        width, height, interpolation=Interpolation.BILINEAR, threads=1
    ).to_ndarray()
    return resized


def _jpeg(picture: Image) -> bytes:
    out, image = io.BytesIO(), PIL.Image.fromarray(picture)
    image.thumbnail((STILL, STILL))
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
