"""Single frames straight from a video, for crops that are not stored: random access by presentation time.

Frames come in displayed orientation, RGB, with the stream's own colour matrix and range, converted bit-exactly, so
that a crop cut here has the same pixels as one that ffpp-prep stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

from dfd_train.data.geometry import Image
from dfd_train.errors import UserError

# Local files in ordinary containers only: playlists and the like can name other files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,flv,asf,ogg,gif,nut,mxf"
)
_CONVERSION = Interpolation.BILINEAR | Interpolation.BITEXACT  # the same pixels on every processor
# Titles needn't be UTF-8. PyAV 19 takes them as they come; those before it must be told.
ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def read_frame(path: Path, frame: int, pts: int) -> Image:
    """Frame number `frame` (from 0, display order), which is shown at `pts`, as uint8 (H, W, 3) RGB.

    Seeks to the key frame before `pts`; where the container cannot seek so, decodes from the beginning.

    Raises: UserError where the video cannot be opened or has no such frame.
    """
    with closing(_open(path)) as container:
        picture = _seek(container, pts)
    return read_frame_number(path, frame) if picture is None else _to_rgb(picture)


def read_frame_number(path: Path, frame: int) -> Image:
    """Frame number `frame` as `read_frame`, by counting from the beginning.

    Raises: UserError where the video cannot be opened or has no such frame.
    """
    with closing(_open(path)) as container:
        picture = next(
            (picture for index, picture in enumerate(_pictures(container)) if index == frame), None
        )
    if picture is None:
        raise UserError(f"{path} has no frame {frame}")
    return _to_rgb(picture)


def _open(path: Path) -> Any:
    try:
        container = av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS},
            **ANY_TITLE,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot open {path}: {' '.join(str(reason).split())}") from None
    if not container.streams.video:
        container.close()
        raise UserError(f"cannot open {path}: no video stream")
    stream = container.streams.video[0]
    # one thread a process: the loader's processes fill the cores
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return container


def _seek(container: Any, pts: int) -> Any:
    """The picture at `pts`, or None where seeking misses it."""
    try:
        container.seek(pts, stream=container.streams.video[0], backward=True)
    except av.FFmpegError:
        return None
    for picture in _pictures(container):
        if picture.pts is None or picture.pts > pts:
            return None
        if picture.pts == pts:
            return picture
    return None


def _pictures(container: Any) -> Iterator[Any]:
    """All decodable pictures from here on; a packet that cannot be decoded is passed over."""
    packets = container.demux(container.streams.video[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, ValueError):
            return
        try:
            yield from packet.decode()
        except (av.FFmpegError, ValueError):
            continue


def _to_rgb(picture: Any) -> Image:
    image: Image = picture.reformat(format="rgb24", interpolation=_CONVERSION, threads=1).to_ndarray()
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
