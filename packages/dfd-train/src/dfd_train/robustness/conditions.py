"""What is done to crops, or to whole films: one sweep a kind of change, each with its levels from none to strong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dfd_train.data.degradation import Corruption
from dfd_train.errors import UserError


@dataclass(frozen=True)
class Recoding:
    """How a whole film is encoded again."""

    crf: float
    codec: str = "libx264"
    side: int | None = None
    """of its frames, the longer one, at most; unset: as it is"""
    rate: float | None = None
    """frames a second, at most; unset: as they are"""


MESSENGER = Recoding(28, side=640)
"""what a messenger makes of a film each time that it is sent"""


@dataclass(frozen=True)
class Condition:
    """One level of one change; the defaults change nothing."""

    sweep: str
    level: float
    corruptions: tuple[Corruption, ...] = ()
    frames: int | None = None
    """equally spaced frames a video, where that is what changes"""
    margin: float | None = None
    """the crop's margin around the face, where that is what changes"""
    recodings: tuple[Recoding, ...] = ()
    """of the whole film, one after another"""

    @property
    def name(self) -> str:
        """A file's name."""
        return f"{self.sweep}-{self.level:g}" if self.changes else "unchanged"

    @property
    def changes(self) -> bool:
        """Whether anything differs from the plain evaluation."""
        return bool(self.corruptions or self.recodings) or self.frames is not None or self.margin is not None


@dataclass(frozen=True)
class Sweep:
    """One kind of change: its axis, the level that changes nothing where there is one, and the others."""

    name: str
    title: str
    unchanged: float | None
    """where on the axis the plain evaluation stands; None: left out, shown at the first place"""
    levels: tuple[float, ...]

    def conditions(self) -> list[Condition]:
        """Returns the plain evaluation where it is not a level itself, then each level."""
        plain = [] if self.name in ("frames", "margin") else [Condition(self.name, self.unchanged or 0.0)]
        return plain + [self._condition(level) for level in self.levels]

    def _condition(self, level: float) -> Condition:
        if self.name == "frames":
            return Condition(self.name, level, frames=int(level))
        if self.name == "margin":
            return Condition(self.name, level, margin=level)
        if self.name in FILMS:
            return Condition(self.name, level, recodings=FILMS[self.name](level))
        return Condition(self.name, level, (Corruption(self.name, level, seed=0),))


FILMS: Mapping[str, Callable[[float], tuple[Recoding, ...]]] = {
    "film-crf": lambda level: (Recoding(level),),
    "film-h265": lambda level: (Recoding(level, "libx265"),),
    "film-side": lambda level: (Recoding(23, side=int(level)),),
    "film-rate": lambda level: (Recoding(23, rate=level),),
    "film-messenger": lambda level: (MESSENGER,) * int(level),
}
FAITHFUL = (
    Sweep("film-crf", "Whole film: H.264 constant rate factor", None, (18, 23, 28, 33, 38)),
    Sweep("film-h265", "Whole film: H.265 constant rate factor", None, (23, 28, 33)),
    Sweep("film-side", "Whole film: longer side at most, CRF 23", None, (640, 480, 320)),
    Sweep("film-rate", "Whole film: frames a second at most, CRF 23", None, (15, 10, 5)),
    Sweep("film-messenger", "Whole film: 640 pixels and CRF 28, so many times", None, (1, 2)),
)
SWEEPS = (
    Sweep("crf", "Face crop as one H.264 frame: constant rate factor", None, (18, 23, 28, 33, 38, 43)),
    Sweep("downscale", "Side after shrinking, as a share", 1.0, (0.75, 0.5, 0.35, 0.25, 0.15)),
    Sweep("blur", "Gaussian blur, deviation in pixels", 0.0, (0.5, 1, 2, 3, 4)),
    Sweep("noise", "Gaussian noise, deviation of 255", 0.0, (2, 5, 10, 20, 30)),
    Sweep("jpeg", "JPEG quality", None, (95, 80, 60, 40, 20, 10)),
    Sweep("gamma", "Gamma (above 1: darker)", 1.0, (0.4, 0.6, 0.8, 1.25, 1.7, 2.5)),
    Sweep("frames", "Frames a video", None, (1, 2, 4, 8, 16)),
    Sweep("margin", "Crop margin", None, (0.0, 0.15, 0.3, 0.5, 0.8)),
)


def choose_sweeps(names: Sequence[str], faithful: bool = False) -> tuple[Sweep, ...]:
    """Returns the sweeps of these names, all where none is given: of face crops, or of whole films where `faithful`.

    Raises: UserError for an unknown name.
    """
    sweeps = FAITHFUL if faithful else SWEEPS
    known = {sweep.name: sweep for sweep in sweeps}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(
            f"--only {unknown[0]}: unknown sweep {unknown[0]!r}; allowed: {', '.join(known)}"
            + ("" if faithful else "; with --faithful those of whole films")
        )
    return tuple(sweep for sweep in sweeps if not names or sweep.name in names)
