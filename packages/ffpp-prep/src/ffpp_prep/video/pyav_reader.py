"""PyAV: the default decoder, and the one that says what is in a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from ffpp_prep.video.interface import DecodeFailed, Frame, OpenFailed, VideoInfo

MAX_PIXELS = 8192 * 8192
# The same pixels on every processor, so that crops made on different machines are equal.
CONVERSION = Interpolation.BILINEAR | Interpolation.BITEXACT
# Playlists and the like can name other files and addresses: leave their demuxers out.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,ogg,gif,nut,mxf"
)


@dataclass(frozen=True)
class PacketTimes:
    """Presentation times of a stream's packets, sorted: `pts` in stream units, `seconds` from the stream's start.

    Packets that an edit list cuts away, which are decoded but not shown, are only counted: `hidden`.
    """

    pts: list[int]
    seconds: list[float]
    hidden: int


class VideoReader:
    """Decodes one video from its beginning.

    Use as a context manager and iterate; afterwards `frames_decoded` and `error` (one line, "" if all was
    well) say how it went. A packet that can't be decoded is counted and passed over.

    Args:
        path: a local file.
        only_key_frames: pass all other frames over; `Frame.index` then counts key frames.

    Raises:
        OpenFailed: at construction.
    """

    def __init__(self, path: str | Path, only_key_frames: bool = False) -> None:
        self.frames_decoded = 0
        self.error = ""
        path = Path(path)
        if not path.is_file():
            raise OpenFailed(f"{path.name}: no such file")
        if path.stat().st_size == 0:
            raise OpenFailed(f"{path.name}: the file is empty")
        try:
            self._container = av.open(
                f"file:{path}", options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
            )
        except (av.FFmpegError, ValueError) as error:
            raise OpenFailed(f"{path.name}: {_reason(error)}") from error
        if not self._container.streams.video:
            self._container.close()
            raise OpenFailed(f"{path.name}: no video stream")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise OpenFailed(f"{path.name}: no decoder for its video stream")
        pixels = self._stream.codec_context.width * self._stream.codec_context.height
        if pixels <= 0 or pixels > MAX_PIXELS:
            size = f"{self._stream.codec_context.width}x{self._stream.codec_context.height}"
            self._container.close()
            raise OpenFailed(f"{path.name}: frame size {size} is not between 1 and {MAX_PIXELS} pixels")
        # One thread a process: the pool fills the cores, and FFmpeg's own threads can deadlock under it.
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        if only_key_frames:
            self._stream.codec_context.skip_frame = "NONKEY"

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def info(self) -> VideoInfo:
        """What the container announces; rotation is known only from frames, so the size is the coded one."""
        context = self._stream.codec_context
        rate = self._stream.average_rate or self._stream.guessed_rate
        return VideoInfo(
            context.width,
            context.height,
            float(rate) if rate else 0.0,
            int(self._stream.frames),
            (self._container.duration or 0) / av.time_base,
            float(self._stream.time_base or 0),
        )

    def packet_times(self) -> PacketTimes:
        """Reads through the file without decoding; afterwards there is nothing left to iterate over.

        Raises:
            DecodeFailed: a packet has no time, or reading stops.
        """
        shown: list[int] = []
        hidden = 0
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:  # the end of the stream
                    continue
                if packet.pts is None:
                    raise DecodeFailed("a packet has no presentation time")
                if packet.is_discard:
                    hidden += 1
                else:
                    shown.append(packet.pts)
        except (av.FFmpegError, ValueError) as error:
            raise DecodeFailed(f"reading stopped: {_reason(error)}") from error
        shown.sort()
        start, unit = self._stream.start_time or 0, float(self._stream.time_base or 0)
        return PacketTimes(shown, [(pts - start) * unit for pts in shown], hidden)

    def __iter__(self) -> Iterator[Frame]:
        lost = hidden = 0
        reason = ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, ValueError) as error:
                reason = f"reading stopped: {_reason(error)}"
                break
            hidden += packet.is_discard
            try:
                decoded = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                lost += 1
                reason = f"{lost} packets could not be decoded: {_reason(error)}"
                continue
            for picture in decoded:
                index = self.frames_decoded
                self.frames_decoded += 1
                yield Frame(index, picture.pts if picture.pts is not None else index, _converter(picture))
        announced = (self._stream.frames or 0) - hidden  # an edit list may cut frames away
        missing = ""
        if announced > 0 and self.frames_decoded < 0.9 * announced:
            missing = f"the container announces {announced} frames, {self.frames_decoded} could be decoded"
        self.error = "; ".join(filter(None, (missing, reason)))


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 to (size, size, 3) uint8, bicubic."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    flags = Interpolation.BICUBIC | Interpolation.BITEXACT
    return _rgb(frame.reformat(size, size, interpolation=flags, threads=1))


def _converter(picture: av.VideoFrame) -> Callable[[], NDArray[np.uint8]]:
    def rgb() -> NDArray[np.uint8]:
        array = _rgb(picture.reformat(format="rgb24", interpolation=CONVERSION, threads=1))
        quarter_turns = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(array, quarter_turns)) if quarter_turns else array

    return rgb


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray().astype(np.uint8, copy=False)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__
