"""Layers as a torch module, channels last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ffpp_prep.detector.layers import (
    INPUT,
    ChannelPad,
    Convolution,
    Enlarged,
    Floats,
    Layer,
    LayeredNetwork,
    MaxPool,
    Rectifier,
)


class TorchNetwork(nn.Module):
    """Runs layers one after another; what no later one reads is let go.

    Args:
        network: the layers.
    """

    def __init__(self, network: LayeredNetwork) -> None:
        super().__init__()
        self.steps = nn.ModuleList(_module(layer) for layer in network.layers)
        self._places = [(layer.name, layer.sources) for layer in network.layers]
        self._outputs = network.outputs
        last = {source: step for step, (_, sources) in enumerate(self._places) for source in sources}
        self._over = [
            [name for name, end in last.items() if end == step and name not in network.outputs]
            for step in range(len(self._places))
        ]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Returns the outputs, (N, height, width, channels), of pictures (N, 3, height, width)."""
        values = {INPUT: pictures}
        for module, (name, sources), over in zip(self.steps, self._places, self._over, strict=True):
            values[name] = module(*[values[source] for source in sources])
            for source in over:
                del values[source]
        return [values[name].permute(0, 2, 3, 1) for name in self._outputs]


def _module(layer: Layer) -> nn.Module:
    if isinstance(layer, Convolution):
        return _Convolved(layer)
    if isinstance(layer, Rectifier):
        return _Rectified(layer.slope)
    if isinstance(layer, MaxPool):
        return nn.MaxPool2d(2)
    if isinstance(layer, ChannelPad):
        return nn.ConstantPad3d((0, 0, 0, 0, 0, layer.channels), 0.0)
    if isinstance(layer, Enlarged):
        return nn.Upsample(layer.size, mode="bilinear", align_corners=False)
    return _Summed()


class _Convolved(nn.Module):
    """A convolution that pads as TensorFlow's "SAME": an odd pixel comes at the bottom and on the right."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        kernel = layer.kernel.transpose(2, 3, 0, 1) if layer.depthwise else layer.kernel.transpose(3, 2, 0, 1)
        self.kernel = nn.Parameter(torch.from_numpy(kernel.copy()), requires_grad=False)
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy()), requires_grad=False)
        self._stride, self._relu6 = layer.stride, layer.relu6
        self._groups = len(layer.bias) if layer.depthwise else 1

    def forward(self, values: Tensor) -> Tensor:
        sides = [_same(size, self.kernel.shape[2], self._stride) for size in values.shape[2:]]
        (top, bottom), (left, right) = sides
        even = top == bottom and left == right
        if not even:
            values = functional.pad(values, (left, right, top, bottom))
        padding: Sequence[int] = (top, left) if even else (0, 0)
        result = functional.conv2d(values, self.kernel, self.bias, self._stride, padding, groups=self._groups)
        return functional.relu6(result, inplace=True) if self._relu6 else result


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Returns the pixels of padding before and behind an axis."""
    missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return missing // 2, missing - missing // 2


class _Rectified(nn.Module):
    def __init__(self, slope: Floats) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.from_numpy(slope.copy()), requires_grad=False)
        self._plain = not slope.any()

    def forward(self, values: Tensor) -> Tensor:
        return functional.relu(values) if self._plain else functional.prelu(values, self.slope)


class _Summed(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other
