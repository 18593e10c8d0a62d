"""How much one file may cost: the one place for the limits that hold against bombs, files small on a disk only.

What is allowed grows with the file. Footage stays far below it, whatever its length: ordinary video has more than a
byte for 2,000 pixels, the barest still recording one for 100,000. Pixels are counted before seconds, so that a file's
answer doesn't depend on the machine; seconds are those of the processor, so that it doesn't depend on its load.
"""

from __future__ import annotations

from time import thread_time

from ffpp_prep.text.units import counted

__all__ = ["LEAST_PIXELS", "LOOK_PIXELS", "MAX_FRAME_PIXELS", "MAX_PIXELS", "MAX_SIDE", "Budget", "too_large"]

MAX_PIXELS = 8192 * 8192  # of one photograph: 200 MB as RGB
MAX_FRAME_PIXELS = 8192 * 4320  # of a video's frame, of which a decoder holds many
MAX_SIDE = 32768  # pixels
FREE_PIXELS, PIXELS_A_BYTE = 1 << 31, 1 << 17  # of all frames together
LEAST_PIXELS = 1 << 12  # what a frame counts for, however small
LOOK_PIXELS = 1 << 20  # what the use of a frame counts for, beside its decoding
FREE_SECONDS, BYTES_A_SECOND = 120.0, 4096  # of reading
FREE_USE, BYTES_A_SECOND_OF_USE = (
    300.0,
    512,
)  # of what is done with the frames: finding faces, scoring, drawing


def too_large(width: int, height: int, most: int = MAX_PIXELS) -> str:
    """Says why pictures of a size aren't read; empty where they are."""
    if width < 1 or height < 1 or width * height > most:
        return f"frame size {width}x{height} is not between 1 and {most} pixels"
    if max(width, height) > MAX_SIDE:
        return f"frame size {width}x{height}: no side may have more than {MAX_SIDE} pixels"
    return ""


class Budget:
    """What is left for one file.

    Args:
        size: of the file, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pixels = FREE_PIXELS + PIXELS_A_BYTE * size
        self._seconds = FREE_SECONDS + size / BYTES_A_SECOND
        self._use = FREE_USE + size / BYTES_A_SECOND_OF_USE
        self._spent = self._used = 0.0
        self._started = thread_time()
        self._ended: float | None = None

    def start(self) -> None:
        """Starts to count this thread's seconds as reading instead of use."""
        self._started = thread_time()
        if self._ended is not None:
            self._used += max(
                0.0, self._started - self._ended
            )  # less than nothing where the thread is another one

    def stop(self) -> None:
        """Ends the counting of processor seconds as reading."""
        self._ended = thread_time()
        self._spent += max(0.0, self._ended - self._started)

    def decoded(self, pixels: int) -> None:
        """Counts a decoded frame by its pixels."""
        self._pixels -= max(pixels, LEAST_PIXELS)

    def used(self) -> None:
        """Counts a frame that is looked at."""
        self._pixels -= LOOK_PIXELS

    def exceeded(self, frames: int) -> str:
        """Says which limit was reached after this many frames; empty where none was."""
        if self._pixels >= 0 and self._spent <= self._seconds and self._used <= self._use:
            return ""
        what = "decode to this many pixels" if self._pixels < 0 else "take this many seconds"
        size = f"{self._size / 1000:.0f} kB" if self._size < 10e6 else f"{self._size / 1e6:.0f} MB"
        return f"stopped after {counted(frames, 'frame')}: a file of {size} may not {what}"
