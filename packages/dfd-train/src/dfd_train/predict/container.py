"""What a file says of itself: its container, its tracks, who wrote it and when. Facts; nothing here is judged.

Only a few tags are read: a place, an owner's name or a title are nobody's business.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import PIL.ExifTags

from dfd_train.errors import UserError
from dfd_train.predict.inputs import Input
from ffpp_prep.text.printable import printable
from ffpp_prep.text.units import counted, plural
from ffpp_prep.video import VideoError, movie_box, open_container
from ffpp_prep.video.photographs import opened

LONGEST_TEXT = 200  # letters of a tag
MOST_TRACKS = 16
MOST_BOXES = 10_000  # of an MP4's index that are searched for edit lists; a film has some ten a track
EDITS = 8  # of a track
APART = 0.2  # seconds between the ends or the beginnings of two tracks, above which it is told
_NESTED = (b"moov", b"trak", b"mdia", b"edts")


@dataclass(frozen=True)
class Container:
    """What a video file's container says of it."""

    format: str
    encoder: str = ""
    """the name that the writing program gives itself; here and below, empty means that the file doesn't say"""
    created: str = ""
    device: str = ""
    """maker and model of the camera or telephone"""
    software: str = ""
    tracks: tuple[str, ...] = ()
    """codec, size, rate, length of each"""
    edit_lists: tuple[str, ...] = ()
    """of an MP4: what of a track is shown when, where that is not simply all of it"""
    odd_times: tuple[str, ...] = ()
    """tracks that begin or end apart from each other"""


def container_of(file: Input) -> Container | None:
    """Returns what a file says of itself; None where it can't be opened."""
    try:
        return _of_picture(file.path) if file.is_image else _of_video(file.path)
    except (UserError, VideoError, av.FFmpegError, OSError, ValueError, MemoryError):
        return None


def _of_picture(path: Path) -> Container:
    with opened(path) as image:
        exif = image.getexif()
        inner = exif.get_ifd(PIL.ExifTags.IFD.Exif)
        tags = PIL.ExifTags.Base
        return Container(
            format=f"{image.format}",
            created=_text(inner.get(tags.DateTimeOriginal) or exif.get(tags.DateTime)),
            device=_text(" ".join(filter(None, (_text(exif.get(tags.Make)), _text(exif.get(tags.Model)))))),
            software=_text(exif.get(tags.Software) or image.info.get("Software")),
            tracks=(f"picture: {image.mode}, {image.width} × {image.height}",),
        )


def _of_video(path: Path) -> Container:
    try:
        container = open_container(path)
    except VideoError:  # an animated picture
        return _of_picture(path)
    with container:
        tags = {str(name).lower(): value for name, value in container.metadata.items()}
        streams = list(container.streams)[:MOST_TRACKS]
        return Container(
            format=_text(container.format.long_name or container.format.name),
            encoder=_first(tags, "encoder", "com.apple.quicktime.encoder"),
            created=_first(tags, "creation_time", "com.apple.quicktime.creationdate", "date"),
            device=_text(
                " ".join(
                    filter(
                        None,
                        (
                            _first(tags, "make", "com.apple.quicktime.make"),
                            _first(tags, "model", "com.apple.quicktime.model", "com.android.model"),
                        ),
                    )
                )
            ),
            software=_first(tags, "software", "com.apple.quicktime.software", "com.android.version"),
            tracks=tuple(_track(stream) for stream in streams),
            edit_lists=tuple(_edit_lists(path)),
            odd_times=tuple(_odd_times(streams)),
        )


def _track(stream: Any) -> str:
    """Returns one track in words: all as the file announces it."""
    context, parts = stream.codec_context, []
    if context is not None:
        codec = context.codec.canonical_name
        parts.append(f"codec {codec} ({context.profile})" if context.profile else f"codec {codec}")
        if stream.type == "video":
            parts += [f"colours {context.pix_fmt or 'unknown'}", f"{context.width} × {context.height}"]
            if rate := stream.average_rate:
                parts.append(f"{float(rate):.6g} {plural(rate, 'frame')} a second")
        elif stream.type == "audio":
            parts.append(f"{context.sample_rate} Hz, {counted(context.channels, 'channel')}")
    if (seconds := _seconds(stream, stream.duration)) is not None:
        parts.append(f"{seconds:.2f} s")
    tags = {str(name).lower(): value for name, value in stream.metadata.items()}
    parts += [f"{word} {said}" for word in ("encoder", "creation_time") if (said := _first(tags, word))]
    return _text(f"{stream.type or 'unknown'}: {', '.join(parts) or 'no decoder'}")


def _odd_times(streams: list[Any]) -> Iterator[str]:
    films = [stream for stream in streams if stream.type in ("video", "audio")]
    for word, times in (
        ("begin", [_seconds(one, one.start_time) for one in films]),
        ("last", [_seconds(one, one.duration) for one in films]),
    ):
        known = [time for time in times if time is not None]
        if known and max(known) - min(known) > APART:
            said = ", ".join(f"{time:.2f} s" for time in known)
            yield f"its tracks {word} {'at' if word == 'begin' else 'for'} {said}"


def _seconds(stream: Any, units: int | None) -> float | None:
    return None if units is None or not stream.time_base else float(units * stream.time_base)


def _edit_lists(path: Path) -> Iterator[str]:
    """Yields the edit lists of an MP4's tracks; what is beyond the limits or cut off is left out."""
    movie = media = track = 0
    edits: tuple[tuple[int, int], ...] = ()
    for kind, body in islice(_boxes(memoryview(movie_box(path)), 0), MOST_BOXES):
        if kind == b"mvhd":
            movie = _timescale(body)
        elif kind == b"trak":
            track, edits = track + 1, ()
        elif kind == b"elst":
            edits = _edits(body)
        elif kind == b"mdhd":
            media = _timescale(body)
        if kind in (b"elst", b"mdhd") and edits and media and movie:
            if said := _told(edits, movie, media):
                yield f"track {track}: {said}"
            edits = ()
        if kind == b"trak":
            media = 0


def _told(edits: tuple[tuple[int, int], ...], movie: int, media: int) -> str:
    parts = []
    for length, start in edits[:EDITS]:
        seconds = length / movie
        if start < 0:
            parts.append(f"nothing for {seconds:.3f} s")
        elif start or len(edits) > 1:
            parts.append(f"{seconds:.3f} s from {start / media:.3f} s on")
    more = f", and {len(edits) - EDITS} more" if len(edits) > EDITS else ""
    return f"{', then '.join(parts)}{more}" if parts else ""


def _boxes(data: memoryview, depth: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yields all boxes, outer ones first."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if length < 8:
            return
        body = data[at + 8 : at + length]
        yield kind, body
        if kind in _NESTED and depth < len(_NESTED):
            yield from _boxes(body, depth + 1)
        at += length


def _timescale(body: memoryview) -> int:
    """Returns the units per second of an mvhd or mdhd box; 0 where it is cut off."""
    at = 20 if bytes(body[:1]) == b"\1" else 12
    return int(struct.unpack(">I", body[at : at + 4])[0]) if len(body) >= at + 4 else 0


def _edits(body: memoryview) -> tuple[tuple[int, int], ...]:
    """Returns the length in the movie's units and start in the track's, -1 for a pause, of each entry that is there."""
    form, step = (">Qq", 20) if bytes(body[:1]) == b"\1" else (">Ii", 12)
    count = struct.unpack(">I", body[4:8])[0] if len(body) >= 8 else 0
    places = range(8, min(8 + count * step, len(body) - step + 1), step)
    return tuple(struct.unpack(form, body[at : at + struct.calcsize(form)]) for at in places)


def _first(tags: Mapping[str, object], *names: str) -> str:
    return next((said for name in names if (said := _text(tags.get(name)))), "")


def _text(value: object) -> str:
    """Returns a tag's value as it may be shown."""
    if value is None:
        return ""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return printable(" ".join(text.replace("\0", " ").split()))[:LONGEST_TEXT]
