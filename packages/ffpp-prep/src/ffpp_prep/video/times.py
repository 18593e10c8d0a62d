"""When each frame of a video is shown, whatever its time stamps say: rising times without leaps.

Stamps may go back where recordings were joined, be all equal or missing, leap to the wall clock, or run a thousand
times too fast. What looks at a few frames a second would then pass over whole scenes. So a step between two frames that
can't be true is taken to be as long as a frame; what such steps added is taken back from the next true ones where it
is little, as after two frames in the wrong order, so that pictures and sound stay together.
"""

from __future__ import annotations

from ffpp_prep.text.units import counted
from ffpp_prep.video.interface import Frame, VideoInfo

SLOWEST, FASTEST = 1.0, 1000.0  # frames a second, as a nominal rate
USUAL_RATE = 25.0
LEAST_STEP = 0.9 / FASTEST  # seconds: containers that count milliseconds round
LONGEST_STEP = 3600.0  # seconds: of time-lapse; a longer gap is a change of clocks
TAKEN_BACK = 10  # frames at the nominal rate; what is more is a new clock


class FrameTimes:
    """Asked for each decoded frame in order; `rate` is the nominal one, in frames a second.

    Args:
        info: of the video.
    """

    def __init__(self, info: VideoInfo) -> None:
        self._unit = info.unit
        self._stamps = _Stamps()
        self.rate = info.fps if SLOWEST <= info.fps <= FASTEST else USUAL_RATE
        self._frames = self._mended = 0
        self._origin = 0  # stamp of time `_base`
        self._stamp: int | None = None  # the latest one
        self._base = self._last = self._ahead = 0.0  # seconds

    def of(self, frame: Frame) -> float:
        """Returns seconds from the first frame, more than those of the frame before."""
        return self.at(self._stamps.of(frame.pts if frame.timed else None, frame.dts))

    def at(self, pts: int | None) -> float:
        """Returns the same of a time stamp; None where there is none."""
        if not self._frames:
            self._origin = pts or 0
        elif self._stamp is None:
            self._mend(pts or 0, 1 / self.rate)
        elif pts is None:
            self._mend(self._stamp, 0.0)
        else:
            step = (pts - self._stamp) * self._unit
            if LEAST_STEP <= step <= LONGEST_STEP:
                back = min(self._ahead, step / 2)
                if back:
                    self._go_on(pts, self._last + step - back)
                self._ahead -= back
            else:
                self._mend(pts, step)
        self._frames += 1
        if pts is not None:
            self._stamp = pts
        self._last = self._base
        if self._stamp is not None:
            self._last += (self._stamp - self._origin) * self._unit
        return self._last

    @property
    def remark(self) -> str:
        """What was mended so far; empty where nothing was."""
        if not self._mended:
            return ""
        return (
            f"no usable time in {self._mended:,} of {counted(self._frames, 'frame')}; "
            f"each was counted as 1/{self.rate:g} of a second"
        )

    def _mend(self, pts: int, step: float) -> None:
        """Goes on from `pts` a nominal frame later, whatever the `step` to it."""
        self._mended += 1
        self._go_on(pts, self._last + 1 / self.rate)
        self._ahead += 1 / self.rate - step
        if abs(self._ahead) * self.rate > TAKEN_BACK:
            self._ahead = 0.0

    def _go_on(self, pts: int, time: float) -> None:
        self._origin, self._base = pts, time


class _Stamps:
    """Which of a frame's two stamps says when it is shown: as players guess, the one that went back more rarely.

    AVI and ASF store only when a frame is decoded. Where frames refer to later ones, it comes with another one's stamp.
    """

    def __init__(self) -> None:
        self._pts, self._dts = _Rising(), _Rising()

    def of(self, pts: int | None, dts: int | None) -> int | None:
        self._pts.take(pts)
        self._dts.take(dts)
        return dts if pts is None or (dts is not None and self._dts.faults < self._pts.faults) else pts


class _Rising:
    def __init__(self) -> None:
        self.faults = 0
        self._last: int | None = None

    def take(self, stamp: int | None) -> None:
        if stamp is not None:
            self.faults += self._last is not None and stamp <= self._last
            self._last = stamp
