"""Reading and writing videos: the only place that imports a decoder or an encoder.

Frames come in display order, in displayed orientation, as RGB with the stream's own colour matrix and range.
Videos are hostile input: only local files in known containers are opened, sizes are bounded, and every fault
ends in a `VideoError` or in a count of lost packets, never in an endless loop or another file being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from ffpp_prep.errors import UserError
from ffpp_prep.video.animation import AnimationReader, is_animated
from ffpp_prep.video.budget import MAX_FRAME_PIXELS, MAX_PIXELS, Budget, too_large
from ffpp_prep.video.display import CONVERSION, resized
from ffpp_prep.video.encoder import Encoder, open_output
from ffpp_prep.video.frame_folder import PictureReader, is_of_pictures, is_there
from ffpp_prep.video.interface import (
    DecodeFailed,
    Frame,
    OpenFailed,
    SoundOnly,
    TooLarge,
    VideoError,
    VideoInfo,
    VideoReader,
)
from ffpp_prep.video.mp4_index import movie_box
from ffpp_prep.video.places import is_file
from ffpp_prep.video.pyav_reader import PyAVReader
from ffpp_prep.video.random_access import read_frame
from ffpp_prep.video.source import open_container
from ffpp_prep.video.times import FrameTimes
from ffpp_prep.video.versions import decoder_version

__all__ = [
    "CONVERSION",
    "DECODERS",
    "MAX_FRAME_PIXELS",
    "MAX_PIXELS",
    "Budget",
    "DecodeFailed",
    "Encoder",
    "Frame",
    "FrameTimes",
    "OpenFailed",
    "PyAVReader",
    "SoundOnly",
    "TooLarge",
    "VideoError",
    "VideoInfo",
    "VideoReader",
    "beating",
    "decoder_version",
    "is_there",
    "movie_box",
    "open_container",
    "open_output",
    "open_video",
    "read_frame",
    "require_decoder",
    "resized",
    "too_large",
]

DECODERS = ("pyav", "decord")
BEAT_FRAMES = 64  # far less than a watcher's patience, whatever their size


def open_video(path: str | Path, decoder: str = "pyav") -> VideoReader:
    """Opens a video with one of DECODERS, or what lies on a disk as pictures; all readers are used alike.

    Pictures are a folder of frames, such a folder inside a tar archive (the path goes on beyond it), or a picture file.

    Raises:
        OpenFailed: there is no such file, or it is not a video.
        DecodeFailed: decord reads other frames than the packets say.
    """
    if is_of_pictures(Path(path)):
        return _of_pictures(Path(path))
    if decoder == "pyav":
        return PyAVReader(path)
    from ffpp_prep.video.decord_reader import DecordReader

    return DecordReader(path)


def _of_pictures(path: Path) -> VideoReader:
    try:
        return AnimationReader(path) if is_file(path) and is_animated(path) else PictureReader(path)
    except VideoError:
        raise
    except UserError as error:
        raise OpenFailed(str(error)) from error


def beating(frames: Iterable[Frame], beat: Callable[[], None]) -> Iterator[Frame]:
    """Yields the same frames; `beat` is called every BEAT_FRAMES, so that a watcher can tell decoding from a hang."""
    for frame in frames:
        if frame.index % BEAT_FRAMES == 0:
            beat()
        yield frame


def require_decoder(decoder: str) -> None:
    """Checks that a decoder exists and is installed.

    Raises:
        UserError: it doesn't, or isn't.
    """
    if decoder not in DECODERS:
        raise UserError(f"decoder={decoder}: unknown; allowed are {', '.join(DECODERS)}")
    if decoder == "decord" and find_spec("decord") is None:
        raise UserError("--decoder decord: not installed; run  pip install 'ffpp-prep[decord]'")
