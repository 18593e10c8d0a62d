"""What is done to the crops: one sweep a kind of change, each with its levels from none to strong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dfd_train.data.degradation import Loss
from dfd_train.errors import UserError


@dataclass(frozen=True)
class Condition:
    """One level of one change; the defaults change nothing."""

    sweep: str
    level: float
    losses: tuple[Loss, ...] = ()
    frames: int | None = None
    """equally spaced frames a video, where that is what changes"""
    margin: float | None = None
    """the crop's margin around the face, where that is what changes"""

    @property
    def name(self) -> str:
        """A file's name."""
        return f"{self.sweep}-{self.level:g}" if self.changes else "unchanged"

    @property
    def changes(self) -> bool:
        """Whether anything differs from the plain evaluation."""
        return bool(self.losses) or self.frames is not None or self.margin is not None


@dataclass(frozen=True)
class Sweep:
    """One kind of change: its axis, the level that changes nothing where there is one, and the others."""

    name: str
    title: str
    unchanged: float | None
    """where on the axis the plain evaluation stands; None: left out, shown at the first place"""
    levels: tuple[float, ...]

    def conditions(self) -> list[Condition]:
        """The plain evaluation where it is not a level itself, then each level."""
        plain = [] if self.name in ("frames", "margin") else [Condition(self.name, self.unchanged or 0.0)]
        return plain + [self._condition(level) for level in self.levels]

    def _condition(self, level: float) -> Condition:
        if self.name == "frames":
            return Condition(self.name, level, frames=int(level))
        if self.name == "margin":
            return Condition(self.name, level, margin=level)
        return Condition(self.name, level, (Loss(self.name, level, seed=0),))


SWEEPS = (
    Sweep("crf", "H.264 constant rate factor", None, (18, 23, 28, 33, 38, 43)),
    Sweep("downscale", "Side after shrinking, as a share", 1.0, (0.75, 0.5, 0.35, 0.25, 0.15)),
    Sweep("blur", "Gaussian blur, deviation in pixels", 0.0, (0.5, 1, 2, 3, 4)),
    Sweep("noise", "Gaussian noise, deviation of 255", 0.0, (2, 5, 10, 20, 30)),
    Sweep("jpeg", "JPEG quality", None, (95, 80, 60, 40, 20, 10)),
    Sweep("gamma", "Gamma (above 1: darker)", 1.0, (0.4, 0.6, 0.8, 1.25, 1.7, 2.5)),
    Sweep("frames", "Frames a video", None, (1, 2, 4, 8, 16)),
    Sweep("margin", "Crop margin", None, (0.0, 0.15, 0.3, 0.5, 0.8)),
)


def choose_sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    """The sweeps of these names, all where none is given. Raises: UserError for an unknown name."""
    known = {sweep.name: sweep for sweep in SWEEPS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"unknown sweep {unknown[0]!r}; allowed: {', '.join(known)}")
    return tuple(sweep for sweep in SWEEPS if not names or sweep.name in names)
