"""Writing H.264 videos, the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from ffpp_prep.sample.camera import FPS

CRF = 23
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


def encode(path: Path, frames: Iterable[NDArray[np.uint8]], lossless: bool = False) -> None:
    """Writes (H, W, 3) RGB or (H, W) grey uint8 frames of even size as H.264, yuv420p, CRF 23 (or lossless, for masks).

    One thread and no time stamps, so that equal frames give equal files; the index comes first, so that the
    beginning of a file that was cut short can still be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = {"preset": "ultrafast", "qp": "0"} if lossless else {"preset": "fast", "crf": str(CRF)}
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = None
        for picture in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options=quality)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.ndim == 3 else "gray")
            frame = frame.reformat(format="yuv420p", interpolation=EXACT)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())
