"""decord, checked against PyAV: it is fast, unmaintained, and may give wrong frames without saying so.

Its fault: frames are numbered by packets, and a packet that becomes no frame (cut away by an edit list, damaged,
hidden) is made up for by repeating another frame. So, before and while its frames are used:
- its table of presentation times must be that of the packets that PyAV sees, without hidden ones;
- it is told to fail rather than to repeat a frame, and frames are only read in order, never by seeking;
- each key frame must look like the one that PyAV decodes at the same presentation time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

# decord brings a zlib whose functions would take the place of those that imagecodecs' PNG calls: load that one first.
from imagecodecs import png_decode as _png_decode  # noqa: F401

# isort: split
import decord
import numpy as np
from decord._ffi.base import DECORDError
from numpy.typing import NDArray

from ffpp_prep.text.units import counted
from ffpp_prep.video.interface import DecodeFailed, Frame, VideoInfo
from ffpp_prep.video.pyav_reader import PyAVReader

# decord allows up to this share of a video's frames to be repeated ones; it takes 0 for no limit.
TOLERATED_REPEATS = 0.000001
# Mean absolute difference of RGB values; 10-bit video differs by 0.5 between decoders (docs/decoders.md).
MAX_DIFFERENCE = 1.0
ADVICE = "read this video with --decoder pyav"


class DecordReader:
    """Decodes one video from its beginning with decord; a `VideoReader`.

    A frame that can't be vouched for raises DecodeFailed while iterating; what was given before is then void.

    Raises:
        OpenFailed: PyAV can't open it.
        DecodeFailed: decord can't, or its presentation times are not those of the packets.
    """

    def __init__(self, path: str | Path) -> None:
        self.frames_decoded = 0
        self.error = ""
        with PyAVReader(path) as reader:
            self.info: VideoInfo = reader.info
            times = reader.packet_times()
        self._pts = times.pts
        decord.logging.set_level(decord.logging.QUIET)
        try:
            self._decord = decord.VideoReader(str(path), num_threads=1, fault_tol=TOLERATED_REPEATS)
            found = self._decord.get_frame_timestamp(range(len(self._decord)))[:, 0]
        except (DECORDError, RuntimeError, AssertionError) as error:
            raise DecodeFailed(f"decord: {_reason(error)}; {ADVICE}") from error
        if len(set(times.pts)) < len(times.pts):
            raise DecodeFailed(f"decord: several frames have the same presentation time; {ADVICE}")
        if times.hidden or len(found) != len(times.pts):
            raise DecodeFailed(
                f"decord: counts {counted(len(found), 'frame')} but {len(times.pts):,} are shown; {ADVICE}"
            )
        if not np.allclose(found, np.array(times.seconds, np.float32), rtol=1e-6, atol=1e-6):
            raise DecodeFailed(f"decord: its presentation times are not those of the packets; {ADVICE}")
        self._keys = PyAVReader(path, only_key_frames=True)

    def __enter__(self) -> DecordReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keys.__exit__(kind, value, trace)
        del self._decord

    def match(self, size: tuple[int, int]) -> None:
        """Gives frames of the recorded size, as `PyAVReader.match` does."""
        self._keys.match(size)

    def __iter__(self) -> Iterator[Frame]:
        keys = iter(self._keys)
        key = next(keys, None)
        for index, pts in enumerate(self._pts):
            picture = self._next(index)
            while key is not None and key.pts < pts:
                key = next(keys, None)
            if key is not None and key.pts == pts:
                _compare(picture, key, index)
            self.frames_decoded += 1
            yield Frame(index, pts, _as_is(picture))

    def _next(self, index: int) -> NDArray[np.uint8]:
        try:
            picture: NDArray[np.uint8] = self._decord.next().asnumpy()
        except (DECORDError, RuntimeError, StopIteration) as error:
            raise DecodeFailed(f"decord: frame {index}: {_reason(error)}; {ADVICE}") from error
        return picture


def _as_is(picture: NDArray[np.uint8]) -> Callable[[], NDArray[np.uint8]]:
    return lambda: picture


def _compare(picture: NDArray[np.uint8], key: Frame, index: int) -> None:
    expected = key.rgb()
    if picture.shape != expected.shape:
        raise DecodeFailed(
            f"decord: frame {index} is {picture.shape[1]}x{picture.shape[0]}, "
            f"not {expected.shape[1]}x{expected.shape[0]}; {ADVICE}"
        )
    difference = float(np.abs(picture.astype(np.int16) - expected).mean())
    if difference > MAX_DIFFERENCE:
        raise DecodeFailed(
            f"decord: frame {index} is not the picture of its time (mean difference {difference:.1f}); {ADVICE}"
        )


def _reason(error: BaseException) -> str:
    """Returns the end of decord's message, which is what went wrong, without its stack trace."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[-160:]
