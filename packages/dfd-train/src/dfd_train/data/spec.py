"""The input that a network takes, and the crops that it was trained on. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.options import Checked, Range

Rule = Literal["square", "box", "aligned", "frame"]
Template = Literal["", "deepfakebench", "gend"]
Fit = Literal["stretch", "letterbox", "centre", "centre-floor", "stretch-centre"]
Interpolation = Literal[
    "bilinear",
    "bilinear-float",
    "bicubic-float",
    "opencv-linear",
    "opencv-cubic",
    "opencv-area-cubic",
    "pillow-nearest",
    "pillow-bilinear",
    "pillow-bicubic",
    "pillow-lanczos",
]

Mean = Annotated[float, Range(ge=-1e6, le=1e6)]
Deviation = Annotated[float, Range(ge=1e-6, le=1e6)]  # beyond, float32 has no numbers for the pixels
LARGEST_INPUT = 4096  # pixels a side, as the setting model.input_size has it


@dataclass(frozen=True)
class InputSpec(Checked):
    """What a network expects: a square of `size` pixels, RGB, each channel as (value - mean) / std of [0, 1].

    How a crop becomes that square is `data.fitting`'s; the defaults are those of every network trained here.
    """

    size: Annotated[int, Range(ge=1, le=LARGEST_INPUT)]
    mean: tuple[Mean, Mean, Mean] = (0.5, 0.5, 0.5)
    std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)
    fit: Fit = "stretch"
    """stretch both sides; longer side to `size`, centred on black; shorter side to `shorter`, then the centre: where
    that lies between two pixels, the nearer even one or the one before; both sides to `shorter`, then the centre"""
    interpolation: Interpolation = "bilinear"
    """torch's with antialiasing, without rounding to bytes where it says float; OpenCV's without antialiasing, area
    where it shrinks and cubic where it grows; Pillow's"""
    shorter: Annotated[int, Range(ge=0, le=LARGEST_INPUT)] = 0
    """centre: to how many pixels the shorter side, or both, go first; 0: to `size`"""


@dataclass(frozen=True)
class CropRule(CropGeometry):
    """How a published detector's crops derive from boxes, see `dfd_train.data.cuts`.

    Margin, border and size are a prepared set's; of a box the margin is on each side, a share of its own length there.
    """

    rule: Rule = "square"
    """square: the thesis's; box: each side grows by its own length; aligned: by five points; frame: the picture"""
    whole_pixels: bool = False
    """box: its corners are cut to whole pixels before it grows, and not after"""
    template: Template = ""
    """aligned: where the five points come to lie"""
    scale: Annotated[float, Range(gt=0, le=100)] = 1.3
    """aligned: how much more than the template is shown"""

    @property
    def plain(self) -> CropGeometry:
        """The same as a prepared set's geometry, where it can be one: equal ones are equal."""
        return (
            CropGeometry(self.margin, self.border, self.size, self.align) if self.rule == "square" else self
        )
