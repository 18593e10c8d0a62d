"""Writing videos: the only place that sets an encoder up, so that equal pictures give equal files."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


def open_output(target: Path | IO[bytes], *, format: str | None = None, faststart: bool = False) -> Any:
    """Opens a container to write to, without the random numbers, dates and versions that some formats add.

    Args:
        target: a file, whose ending names the format, or a buffer.
        format: FFmpeg's name of the format; needed for a buffer.
        faststart: MP4's index comes first, so that the beginning of a file that was cut short can still be read.
    """
    options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if faststart else {})
    return av.open(str(target) if isinstance(target, Path) else target, "w", format=format, options=options)


class Encoder:
    """A video track of a container, written picture by picture: H.264 unless another codec is named.

    Equal pictures and settings give the same bytes, from run to run, whatever else the process did before, on
    machines with other numbers of cores and, as far as x264 promises it (its `cpu-independent`), on other
    processors. x264 alone doesn't do that: the number of threads follows the number of cores and changes what is
    written, and on a processor with AVX-512 the weighing of macroblocks (`mbtree`) reads memory behind its rows, so
    that twelve encodings of one clip gave up to eight different files, with one thread too. `cpu-independent` takes
    x264's plain code there; `mbtree=0` would also mend it, for files a third larger.

    Args:
        container: from `open_output`.
        width: of all pictures, in pixels; even where the pixel format halves the chroma.
        height: likewise.
        rate: frames a second; pictures without a time of their own follow each other at this rate.
        codec: FFmpeg's name of an encoder.
        pix_fmt: FFmpeg's name of a pixel format.
        options: the codec's, as `{"crf": "23", "preset": "fast"}`.
        threads: how many encode; another number gives other bytes, so it never follows the machine.
        time_base: the unit of the times given to `write`, in seconds.
    """

    def __init__(
        self,
        container: Any,
        width: int,
        height: int,
        rate: int | Fraction = 25,
        *,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: Mapping[str, str] | None = None,
        threads: int = 1,
        time_base: Fraction | None = None,
    ) -> None:
        settings = dict(options or {})
        if codec == "libx264":
            own = settings.get("x264-params")
            settings["x264-params"] = "cpu-independent=1" + (f":{own}" if own else "")
        self._container = container
        self.stream: Any = container.add_stream(codec, rate=rate, options=settings)
        self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, pix_fmt
        self.stream.codec_context.thread_count = threads
        if time_base is not None:
            self.stream.codec_context.time_base = time_base
        self._time_base = time_base
        self._frames = 0

    def write(self, picture: NDArray[np.uint8] | av.VideoFrame, pts: int | None = None) -> None:
        """Adds a picture: (H, W, 3) RGB or (H, W) grey uint8, or a frame; `pts` is its time in units of `time_base`."""
        frame = picture if isinstance(picture, av.VideoFrame) else _frame(picture)
        frame = frame.reformat(format=self.stream.pix_fmt, interpolation=EXACT, threads=1)
        frame.pts = pts
        if pts is not None:
            frame.time_base = self._time_base
        self._frames += 1
        self._container.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Writes what the encoder still holds; the container stays open."""
        packets = self.stream.encode()
        if self._frames == 1:  # x265 leaves the decoding time of a film's only frame to chance
            for packet in packets:
                packet.dts = packet.pts
        self._container.mux(packets)


def _frame(picture: NDArray[np.uint8]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(
        np.ascontiguousarray(picture), format="rgb24" if picture.ndim == 3 else "gray"
    )
