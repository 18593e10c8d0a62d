"""PyAV: the default decoder, and the one that says what is in a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from types import TracebackType
from typing import Any

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
# Titles needn't be UTF-8. PyAV 19 takes them as they come; those before it must be told.
ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


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
        _require_content(path)
        try:
            self._container = av.open(
                f"file:{path}",
                options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
                **ANY_TITLE,
            )
        except Exception as error:  # whatever a hostile file provokes; so below
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
        except DecodeFailed:
            raise
        except Exception as error:
            raise DecodeFailed(f"reading stopped: {_reason(error)}") from error
        shown.sort()
        start, unit = self._stream.start_time or 0, float(self._stream.time_base or 0)
        return PacketTimes(shown, [(pts - start) * unit for pts in shown], hidden)

    def __iter__(self) -> Iterator[Frame]:
        read = _Read(self._stream)
        lost = 0
        reason = ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except Exception as error:
                reason = f"reading stopped: {_reason(error)}"
                break
            read.add(packet)
            try:
                decoded = packet.decode()
            except Exception as error:
                lost += 1
                reason = f"{lost} packets could not be decoded: {_reason(error)}"
                continue
            for picture in decoded:
                index = self.frames_decoded
                self.frames_decoded += 1
                yield Frame(index, picture.pts if picture.pts is not None else index, _converter(picture))
        self.error = "; ".join(filter(None, (*read.faults(self.frames_decoded), reason)))


class _Read:
    """What was read of a stream's packets, and whether that is all of it."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._stream = stream
        self._indexed = len(stream.index_entries)  # before anything was read
        self._packets = self._hidden = self._cut = 0
        self._end = 0  # of what is shown, in stream units

    def add(self, packet: av.Packet[av.VideoStream]) -> None:
        start = packet.dts if packet.pts is None else packet.pts
        if start is None and not packet.size:  # PyAV's own, at the end of the stream
            return
        self._packets += 1
        self._cut += packet.is_corrupt
        self._hidden += packet.is_discard  # by an edit list
        if start is not None and not packet.is_discard:
            self._end = max(self._end, start + (packet.duration or 0))

    def faults(self, decoded: int) -> Iterator[str]:
        """One line for each.

        Honest files announce more frames than they have: AVI counts those that repeat the one before, which it doesn't
        store; an edit list cuts some away at the end. So fewer frames are no fault where all packets of the file's own
        index were read, they reach to the announced end, and nine of ten gave a frame.
        """
        entries = self._stream.index_entries
        indexed = len(entries)
        if self._packets < indexed:
            indexed = sum(entry.size > 0 for entry in entries)  # some stand for a frame that was dropped
        announced = max(self._stream.frames or 0, indexed) - self._hidden
        made_up = len(entries) != self._indexed  # while reading, as for an AVI whose end is lost
        gave_frames = decoded >= 0.9 * (self._packets - self._hidden)
        whole = not made_up and self._reaches_the_end() and gave_frames
        if self._packets < indexed or (decoded < announced and not whole):
            yield f"the container announces {announced} frames, {decoded} could be decoded"
        if self._cut:
            yield f"{self._cut} packets are incomplete"

    def _reaches_the_end(self) -> bool:
        stream = self._stream
        if not stream.duration or not stream.time_base:
            return False
        rate = stream.average_rate or stream.guessed_rate
        frame = 1 / (rate * stream.time_base) if rate else 0
        return self._end >= (stream.start_time or 0) + stream.duration - frame / 2


def _require_content(path: Path) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OpenFailed(f"{path.name}: no such file") from error
    except (OSError, ValueError) as error:  # no right to read, a broken disk, a stale network drive
        raise OpenFailed(f"{path.name}: {_reason(error)}") from error
    if not S_ISREG(found.st_mode):
        raise OpenFailed(f"{path.name}: no such file")
    if not found.st_size:
        raise OpenFailed(f"{path.name}: the file is empty")


def resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 to (size, size, 3) uint8, bicubic."""
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    flags = Interpolation.BICUBIC | Interpolation.BITEXACT
    return _rgb(frame.reformat(size, size, interpolation=flags, threads=1))


def _converter(picture: av.VideoFrame) -> Callable[[], NDArray[np.uint8]]:
    def rgb() -> NDArray[np.uint8]:
        try:
            array = _rgb(picture.reformat(format="rgb24", interpolation=CONVERSION, threads=1))
        except Exception as error:
            raise DecodeFailed(f"no RGB of a {picture.format.name} frame: {_reason(error)}") from error
        quarter_turns = round(picture.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(array, quarter_turns)) if quarter_turns else array

    return rgb


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray().astype(np.uint8, copy=False)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()) or type(error).__name__
