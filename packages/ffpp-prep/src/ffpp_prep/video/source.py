"""Opening local videos, and which of their tracks is the film."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import Any

import av
from av.stream import Disposition

from ffpp_prep.text.stand_ins import stand_in
from ffpp_prep.text.units import counted
from ffpp_prep.video import matroska_index, mp4_index
from ffpp_prep.video.budget import MAX_FRAME_PIXELS, too_large
from ffpp_prep.video.display import Display
from ffpp_prep.video.interface import OpenFailed, SoundOnly, TooLarge, VideoInfo, reason_of

# Playlists and the like can name other files and addresses: leave their demuxers out.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,ogg,gif,nut,mxf"
)
CONVERT = "convert it, for instance to MP4"
# Titles needn't be UTF-8. PyAV 19 takes them as they come; those before it must be told.
ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
NO_FILM = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent | Disposition.still_image
)
MAX_RATE = 1000.0  # frames a second: above it a file's clock is not believed
SLOW_RATE = 5.0  # frames a second: below it an edit list that hides most frames isn't either
LONGEST_S = 1e7  # of a video; four months
FEW = 0.25  # of the longest track's frames: what has fewer is no film
PROBED_FRAMES, PROBED_PACKETS = 48, 4096
MAX_COUNT = 2**31 - 1  # what a column of WORK holds


@dataclass(frozen=True)
class Source:
    """An open container and its film."""

    container: Any
    stream: Any
    display: Display
    remark: str = ""
    """which of several tracks is looked at, and what an edit list does, where it hides most frames"""
    clock: bool = True
    """whether the file's own rate and duration can be true"""

    def noting(self, remark: str) -> Source:
        """Returns the same with a further remark."""
        return replace(self, remark="; ".join(filter(None, (self.remark, remark))))

    def matching(self, size: tuple[int, int]) -> Source:
        """Returns the same, with frames of a recorded size (width, height).

        Boxes that were recorded before pixels were stretched are in the pixels of the file.
        """
        width, height = self.stream.codec_context.width, self.stream.codec_context.height
        recorded_so = self.display.stretches and size in ((width, height), (height, width))
        return replace(self, display=Display()) if recorded_so else self

    def info(self) -> VideoInfo:
        """Returns what the container announces, as far as it can be true; sizes are those before turning and
        stretching.
        """
        context, stream = self.stream.codec_context, self.stream
        if not self.clock:
            return VideoInfo(context.width, context.height, 0.0, int(stream.frames))
        rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        fps = next((rate for rate in rates if isfinite(rate) and 0 < rate <= MAX_RATE), 0.0)
        frames = int(stream.frames or 0)
        frames = frames if 0 <= frames <= MAX_COUNT else 0
        duration = (self.container.duration or 0) / av.time_base
        if not max(0, frames - 1) / MAX_RATE <= duration <= LONGEST_S:
            duration = 0.0
        unit = float(stream.time_base or 0)
        return VideoInfo(context.width, context.height, fps, frames, duration, max(0.0, unit))


def open_container(path: Path, **options: str) -> Any:
    """Opens a local file in a known container, with its sound and all other tracks.

    Raises:
        OpenFailed: it is missing, empty, or none.
    """
    _require_content(path)
    if refused := mp4_index.refusal(path) or matroska_index.refusal(path):
        raise OpenFailed(f"{path.name}: {refused}")
    try:
        return av.open(
            f"file:{path}",
            options={
                "protocol_whitelist": "file",
                "format_whitelist": CONTAINERS,
                "fflags": "+ignidx",  # Matroska's cues in falling order take FFmpeg time by their number squared
                **options,
            },
            **ANY_TITLE,
        )
    except Exception as error:  # whatever a hostile file provokes
        why = (
            f"no container that is read; {CONVERT}"
            if isinstance(error, av.ArgumentError)
            else reason_of(error)
        )
        raise OpenFailed(f"{path.name}: {stand_in(path) or why}") from error


def open_source(path: Path) -> Source:
    """Opens a video, ready to be decoded by one thread.

    Raises:
        OpenFailed: it is missing, no video, or absurd.
    """
    source = _opened(path)
    shown, named = _frames(source)
    if 2 * shown >= named:
        return source
    whole = _opened(path, ignore_editlist="1")
    every, _ = _frames(whole)
    rate = whole.stream.average_rate
    slow = rate is not None and rate < SLOW_RATE  # its frames' clock runs too slow beside the list's
    hidden = every - shown
    if hidden <= shown or (shown and not slow):
        whole.container.close()
        listed = f"its edit list hides {hidden:,} of {counted(every, 'frame')}, here as in players"
        return source.noting(listed if hidden > shown else "")
    source.container.close()
    which = "most frames of a very slow video" if shown else "all frames"
    remark = f"its edit list, which would hide {which}, was not followed"
    return replace(whole.noting(remark), clock=not slow)


def _opened(path: Path, **options: str) -> Source:
    container = open_container(path, **options)
    try:
        films = _films(container.streams)
        stream, remark = films[0], ""
        if len(films) > 1:
            stream = _film(path, films, options)
            which = f"{stream.codec_context.width}x{stream.codec_context.height}"
            remark = (
                f"of its {len(films)} picture tracks number {films.index(stream) + 1} is looked at, {which}"
            )
        context = stream.codec_context
        if context.width < 1 or context.height < 1:
            raise OpenFailed("the size of its pictures is missing: its header is cut off or damaged")
        if refusal := too_large(context.width, context.height, MAX_FRAME_PIXELS):
            raise TooLarge(refusal)
        # One thread a process: the pool fills the cores, and FFmpeg's own threads can deadlock under it.
        stream.thread_type = "NONE"
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        return Source(container, stream, Display(stream), remark)
    except OpenFailed as failure:
        container.close()
        raise type(failure)(f"{path.name}: {failure}") from None


def _films(streams: Any) -> list[Any]:
    """Returns the video tracks that can be decoded and aren't marked as covers or previews."""
    films = [stream for stream in streams.video if not stream.disposition & NO_FILM]
    if not films and streams.audio:
        raise SoundOnly(f"it holds sound and no video{', only a cover picture' * bool(streams.video)}")
    if not films:
        raise OpenFailed(f"no video stream{', only a cover picture' * bool(streams.video)}")
    readable = [stream for stream in films if stream.codec_context is not None]
    if not readable:
        raise OpenFailed("no decoder for its video stream")
    return readable


def _film(path: Path, films: list[Any], options: dict[str, str]) -> Any:
    """Returns the largest of the tracks with more than a few pictures; of equal ones the default, then the first.

    Phones, cameras and editors put small previews and large stills beside the film, and mark them no otherwise.
    """
    frames = [stream.frames for stream in films]
    if min(frames) < 1:  # Matroska and transport streams don't say
        frames = _first_packets(path, [stream.index for stream in films], options)
    enough = FEW * max(frames)
    return max(
        (stream for stream, number in zip(films, frames, strict=True) if number >= enough),
        key=lambda stream: (
            stream.codec_context.width * stream.codec_context.height,
            bool(stream.disposition & Disposition.default),
            -stream.index,
        ),
    )


def _first_packets(path: Path, tracks: list[int], options: dict[str, str]) -> list[int]:
    """Returns how many of a file's first packets are of each track."""
    counts = dict.fromkeys(tracks, 0)
    with (
        open_container(path, **options) as container,
        suppress(Exception),
    ):  # of a hostile file: its frames will tell
        for packet in islice(container.demux(), PROBED_PACKETS):
            if packet.stream.index in counts and packet.size:
                counts[packet.stream.index] += 1
                if counts[packet.stream.index] >= PROBED_FRAMES:
                    break
    return list(counts.values())


def _frames(source: Source) -> tuple[int, int]:
    """Returns how many frames of an MP4 are shown, and how many it names; 0 and 0 of files of other kinds."""
    if "mp4" not in source.container.format.name:
        return 0, 0
    entries = source.stream.index_entries  # without those behind an edit list's end
    return sum(not entry.is_discard for entry in entries), max(source.stream.frames, len(entries))


def _require_content(path: Path) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise OpenFailed(f"{path.name}: no such file") from error
    except (OSError, ValueError) as error:  # no right to read, a broken disk, a stale network drive
        raise OpenFailed(f"{path.name}: {reason_of(error)}") from error
    if not S_ISREG(found.st_mode):
        raise OpenFailed(f"{path.name}: no such file")
    if not found.st_size:
        raise OpenFailed(f"{path.name}: the file is empty")
