"""Checkpoints of the thesis's own program: its names, and its conventions turned into ours.

That program fed images in BGR order and trained with 1 = real. Here they are RGB and 1 = fake, so the first
convolution's input channels are reversed and the last layer is negated: `ours(rgb) == -theirs(bgr)`.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from .errors import UserError

_STEM = {
    "Conv2d_1a_3x3": "stem1.conv1",
    "Conv2d_2a_3x3": "stem1.conv2",
    "Conv2d_2b_3x3": "stem1.conv3",
    "Conv2d_3b_1x1": "stem2.conv4",
    "Conv2d_4a_3x3": "stem2.conv5",
    "Conv2d_4b_3x3": "stage_a.reduction",
    "Reduction_A": "stage_b.reduction.branches",
    "Reduction_B": "stage_c.reduction.branches",
}
_MEMBERS = ("Reseption_V1.", "Reseption_V2.")
_FIRST = "Conv2d_1a_3x3.conv.weight"


def is_thesis_state(state: Mapping[str, Tensor]) -> bool:
    """Returns whether these are the names of the thesis's program, of one network or of its ensemble."""
    return any(f"{prefix}{_FIRST}" in state for prefix in ("", *_MEMBERS))


def convert_thesis_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the same network under our names, for RGB images and with 1 = fake.

    Raises:
        ValueError: a name that the thesis's program does not have.
    """
    ensemble = any(name.startswith(_MEMBERS) for name in state)
    converted = {}
    for name, value in state.items():
        if name.endswith(_FIRST):
            value = value.flip(1)
        elif name in ("fc.weight", "fc.bias"):
            value = -value
        converted[_member_name(name) if ensemble else _name(name)] = value
    return converted


def _member_name(name: str) -> str:
    for number, prefix in enumerate(_MEMBERS):
        if name.startswith(f"{prefix}fc."):  # the linear layer to 512 features; ours stands after its dropout
            return f"heads.{number}.1.{name.removeprefix(f'{prefix}fc.')}"
        if name.startswith(prefix):
            return f"members.{number}.{_name(name.removeprefix(prefix))}"
    return _name(name)


def _name(name: str) -> str:
    module, _, rest = name.partition(".")
    if module == "fc":
        return name
    block = re.fullmatch(r"Reseption_([ABC])_(\d+)", module)
    part, _, parameter = rest.partition(".")
    if block:
        target = f"stage_{block[1].lower()}.block{block[2]}"
        if part == "combine_branches":
            return f"{target}.map.{parameter}"
        return f"{target}.branches.{_layer(name, part)}.{parameter}"
    if module in ("Reduction_A", "Reduction_B"):
        return f"{_STEM[module]}.{_layer(name, part)}.{parameter}"
    if module in _STEM:
        return f"{_STEM[module]}.{rest}"
    raise UserError(f"{name!r} is no parameter of the thesis's program")


def _layer(name: str, part: str) -> str:
    """Renames a layer: `branch3x3dbl_2` → `conv3x3dbl.1`; `_3a`, `_3b` are halves [1×3 ‖ 3×1] of the third."""
    match = re.fullmatch(r"branch(\d\w*?)(?:_(\d)([ab])?)?", part)
    if not match:
        raise UserError(f"{name!r} is no parameter of the thesis's program")
    branch, number, half = match.groups()
    suffix = {None: "", "a": ".conv1x3", "b": ".conv3x1"}[half]
    return f"conv{branch}.{int(number or 1) - 1}{suffix}"
