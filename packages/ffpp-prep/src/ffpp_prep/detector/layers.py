"""What networks are made of: layers over NHWC with "SAME" padding, each named, and naming those that it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INPUT = "input"  # name of the first layer's source

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """A convolution.

    source: name of the layer whose output this one reads, or `INPUT`.
    kernel: float32, (height, width, in, out), or (height, width, channels, 1) when depthwise.
    bias: float32 (out,). relu6: whether the output is clipped to 0…6.
    """

    name: str
    source: str
    kernel: Floats
    bias: Floats
    stride: int
    depthwise: bool
    relu6: bool

    @property
    def sources(self) -> tuple[str, ...]:
        """The layers that it reads."""
        return (self.source,)


@dataclass(frozen=True)
class Rectifier:
    """Values below 0 times a slope a channel, float32 (channels,): 0 everywhere is ReLU."""

    name: str
    sources: tuple[str]
    slope: Floats


@dataclass(frozen=True)
class Sum:
    """Two layers' outputs of one shape, added."""

    name: str
    sources: tuple[str, str]


@dataclass(frozen=True)
class MaxPool:
    """The largest of each two by two values of an even height and width."""

    name: str
    sources: tuple[str]


@dataclass(frozen=True)
class ChannelPad:
    """So many channels of zeros behind the others."""

    name: str
    sources: tuple[str]
    channels: int


@dataclass(frozen=True)
class Enlarged:
    """Bilinear, by half-pixel centres, to (height, width)."""

    name: str
    sources: tuple[str]
    size: tuple[int, int]


Layer = Convolution | Rectifier | Sum | MaxPool | ChannelPad | Enlarged


@dataclass(frozen=True)
class LayeredNetwork:
    """Layers in the order in which they run, and the names of those whose outputs are wanted."""

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
