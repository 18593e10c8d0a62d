"""PyAV: the default decoder, and the one that says what is in a container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from ffpp_prep.text.units import counted
from ffpp_prep.video import matroska_index
from ffpp_prep.video.budget import Budget
from ffpp_prep.video.display import GLANCE, View
from ffpp_prep.video.interface import DecodeFailed, Frame, Scaled, VideoInfo, reason_of
from ffpp_prep.video.source import MAX_COUNT, open_source
from ffpp_prep.video.times import FrameTimes


@dataclass(frozen=True)
class PacketTimes:
    """Presentation times of a stream's packets, sorted: `pts` in stream units, `seconds` from the stream's start.

    Packets that an edit list cuts away, which are decoded but not shown, are only counted: `hidden`.
    """

    pts: list[int]
    seconds: list[float]
    hidden: int


class PyAVReader:
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
        self._source = open_source(path)
        self._container, self._stream = self._source.container, self._source.stream
        self._budget = Budget(path.stat().st_size)
        self._missing = matroska_index.missing_bytes(path)
        if only_key_frames:
            self._stream.codec_context.skip_frame = "NONKEY"

    def __enter__(self) -> PyAVReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def info(self) -> VideoInfo:
        """What the container announces; rotation is known only from frames, so the size is the coded one."""
        return self._source.info()

    @property
    def remark(self) -> str:
        """What of the file's own statements was not followed; may be empty."""
        return self._source.remark

    def match(self, size: tuple[int, int]) -> None:
        """Gives frames of the size (width, height) that boxes were recorded with; see `Source.matching`."""
        self._source = self._source.matching(size)

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
            raise DecodeFailed(f"reading stopped: {reason_of(error)}") from error
        shown.sort()
        start, unit = self._stream.start_time or 0, float(self._stream.time_base or 0)
        return PacketTimes(shown, [(pts - start) * unit for pts in shown], hidden)

    def seconds(self, most: float) -> float:
        """Returns how long the film is by the times of its packets, read without decoding until `most` are reached.

        What a container says of its length may be missing, or be that of a recording's first moment. Afterwards there
        is nothing left to iterate over.
        """
        times, last = FrameTimes(self.info), 0.0
        with suppress(Exception):  # whatever a hostile file provokes: its frames will tell
            for packet in self._container.demux(self._stream):
                if packet.size and not packet.is_discard:
                    last = times.at(packet.dts)
                    if last >= most:
                        break
        return last + 1 / times.rate

    def __iter__(self) -> Iterator[Frame]:
        read = _Read(self._stream)
        lost = 0
        reason = ""
        packets = self._container.demux(self._stream)
        while True:
            self._budget.start()
            try:
                packet = next(packets)
            except StopIteration:
                break
            except Exception as error:
                reason = f"reading stopped: {reason_of(error)}"
                break
            read.add(packet)
            try:
                decoded = packet.decode()
            except Exception as error:
                lost += 1
                reason = f"{counted(lost, 'packet')} could not be decoded: {reason_of(error)}"
                decoded = []
            self._budget.stop()
            for picture in decoded:
                if self._spent():
                    return
                index = self.frames_decoded
                self.frames_decoded += 1
                self._budget.decoded(picture.width * picture.height)
                view, timed = self._source.display.view(picture), picture.pts is not None
                pts, rgb = picture.pts if timed else index, partial(self._rgb, view)
                yield Frame(index, pts, rgb, timed, view.size, partial(self._scaled, view), picture.dts)
            if not decoded and self._spent():
                return
        missing = f"cut off: {counted(self._missing, 'byte')} missing at its end" if self._missing else ""
        self.error = "; ".join(filter(None, (*read.faults(self.frames_decoded), missing, reason)))

    def _rgb(self, view: View) -> NDArray[np.uint8]:
        self._budget.used()
        return view.picture()

    def _scaled(self, view: View, longest: int) -> Scaled:
        if not 0 < longest <= GLANCE:
            self._budget.used()
        return view.scaled(longest)

    def _spent(self) -> bool:
        """Returns whether the file has cost what it may."""
        self.error = self._budget.exceeded(self.frames_decoded)
        return bool(self.error)


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
        """Yields one line for each.

        Honest files announce more frames than they have: AVI counts those that repeat the one before, which it doesn't
        store; an edit list cuts some away at the end. So fewer frames are no fault where all packets of the file's own
        index were read, they reach to the announced end, and nine of ten gave a frame.
        """
        entries = self._stream.index_entries
        indexed = len(entries)
        if self._packets < indexed:
            indexed = sum(entry.size > 0 for entry in entries)  # some stand for a frame that was dropped
        frames = self._stream.frames or 0
        announced = max(frames if frames <= MAX_COUNT else 0, indexed) - self._hidden
        made_up = len(entries) != self._indexed  # while reading, as for an AVI whose end is lost
        gave_frames = decoded >= 0.9 * (self._packets - self._hidden)
        whole = not made_up and self._reaches_the_end() and gave_frames
        if self._packets < indexed or (decoded < announced and not whole):
            yield f"the container announces {counted(announced, 'frame')}, {decoded:,} could be decoded"
        if self._cut:
            yield f"incomplete: {counted(self._cut, 'packet')}"

    def _reaches_the_end(self) -> bool:
        stream = self._stream
        if not stream.duration or not stream.time_base:
            return False
        rate = stream.average_rate or stream.guessed_rate
        frame = 1 / (rate * stream.time_base) if rate else 0
        return self._end >= (stream.start_time or 0) + stream.duration - frame / 2
