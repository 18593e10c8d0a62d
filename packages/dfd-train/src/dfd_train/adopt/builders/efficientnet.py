"""EfficientNets trained with the package efficientnet_pytorch, as timm's: names, and padding where it differs.

That package computes its padding once, for the picture that the network is made for. A network that is made for 380
pixels and fed 256 pads otherwise than timm's, which computes it anew.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from dfd_train.adopt.builders.timm_networks import create
from dfd_train.errors import UserError

Padding = tuple[int, int, int, int]
"""left, right, top, bottom"""

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {**_EXPANDING, "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def build(
    *,
    model: str,
    classes: int,
    stem_padding: int | None = None,
    strided_padding: tuple[Padding, ...] = (),
) -> nn.Module:
    """Returns timm's network of that name.

    stem_padding: of the first convolution on each side. strided_padding: of the convolutions inside that halve the map,
    in order. Without them both follow the picture, as timm's do.
    """
    network = create(model, num_classes=classes)
    if stem_padding is not None:
        network.conv_stem = _with_padding(network.conv_stem, (stem_padding,) * 4)
    strided = [block for stage in network.blocks for block in stage if block.conv_dw.stride[0] == 2]
    if strided_padding and len(strided_padding) != len(strided):
        raise UserError(f"strided_padding has length {len(strided_padding)}, must have {len(strided)}")
    for block, padding in zip(strided, strided_padding, strict=False):
        block.conv_dw = _with_padding(block.conv_dw, padding)
    return network  # type: ignore[no-any-return]


def convert(state: dict[str, Tensor], network: Any) -> dict[str, Tensor]:
    """Returns efficientnet_pytorch's names as timm's; names of neither stay as they are."""
    places = [(s, b) for s, stage in enumerate(network.blocks) for b in range(len(stage))]
    return {_name(name, places, network): tensor for name, tensor in state.items()}


def _name(name: str, places: list[tuple[int, int]], network: Any) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block and int(block[1]) < len(places):
        stage, number = places[int(block[1])]
        names = _EXPANDING if hasattr(network.blocks[stage][number], "conv_pwl") else _PLAIN
        return f"blocks.{stage}.{number}.{names.get(block[2], block[2])}.{block[3]}"
    part, _, rest = name.partition(".")
    return f"{_TOP.get(part, part)}.{rest}"


class _PaddedConv2d(nn.Conv2d):
    """A convolution with another padding on each side, whatever the picture."""

    sides: Padding = (0, 0, 0, 0)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(functional.pad(input, self.sides))


def _with_padding(old: nn.Conv2d, sides: Padding) -> nn.Conv2d:
    new = _PaddedConv2d(
        old.in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        groups=old.groups,
        bias=old.bias is not None,
    )
    new.sides = sides
    return new
