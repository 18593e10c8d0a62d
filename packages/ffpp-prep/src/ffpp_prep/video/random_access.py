"""Single frames of a video, with the pixels that reading all of it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffpp_prep.video.animation import AnimationReader, is_animated
from ffpp_prep.video.display import View
from ffpp_prep.video.frame_folder import is_of_pictures, read_picture
from ffpp_prep.video.interface import DecodeFailed
from ffpp_prep.video.places import is_file
from ffpp_prep.video.source import Source, open_source


def read_frame(
    path: Path, frame: int, pts: int | None = None, size: tuple[int, int] = (0, 0)
) -> NDArray[np.uint8]:
    """Returns frame number `frame` (from 0, display order) as it is displayed, (H, W, 3) uint8 RGB.

    Args:
        path: of the video.
        frame: which one.
        pts: when it is shown, where no other frame is shown at that time. Reading then seeks to the key frame before
            it; without it, and where the container can't seek so, it decodes from the beginning.
        size: width and height that the video's boxes were recorded with, see `Source.matching`.

    Raises:
        OpenFailed: the video can't be opened.
        DecodeFailed: it has no such frame, or that one has no colours.
    """
    if is_of_pictures(path):
        return _of_pictures(path, frame, pts)
    source = open_source(path).matching(size)
    with closing(source.container):
        view = None if pts is None else _seek(source, pts)
        if view is not None:
            return view.picture()
    source = open_source(path).matching(size)
    with closing(source.container):
        for index, picture in enumerate(_pictures(source)):
            view = source.display.view(picture)
            if index == frame:
                return view.picture()
    raise DecodeFailed(f"{path} has no frame {frame}")


def _of_pictures(path: Path, frame: int, pts: int | None) -> NDArray[np.uint8]:
    if not (is_file(path) and is_animated(path)):
        return read_picture(path, frame, pts)
    for read in AnimationReader(path):
        if read.index == frame:
            return read.rgb()
    raise DecodeFailed(f"{path} has no frame {frame}")


def _seek(source: Source, pts: int) -> View | None:
    """Returns how the picture at `pts` is shown, or None where seeking misses it."""
    try:
        source.container.seek(pts, stream=source.stream, backward=True)
    except Exception:  # whatever a hostile file provokes: then its frames are counted
        return None
    for picture in _pictures(source):
        view = source.display.view(picture)
        if picture.pts is None or picture.pts > pts:
            return None
        if picture.pts == pts:
            return view
    return None


def _pictures(source: Source) -> Iterator[Any]:
    """Yields all decodable pictures from here on; a packet that can't be decoded is passed over."""
    packets = source.container.demux(source.stream)
    while True:
        try:
            packet = next(packets)
        except Exception:
            return
        try:
            decoded = packet.decode()
        except Exception:
            continue
        yield from decoded
