"""The activations that a network can have: timm's, under their names, or whatever a caller's class makes."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from torch import Tensor, nn

from .config import shown
from .errors import UserError

NEGATIVE_SLOPE = 0.2


class QuickGELU(nn.Module):
    """x · sigmoid(1.702 x), elementwise: CLIP's approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x`, each number activated."""
        return x * (1.702 * x).sigmoid()


class HardMish(nn.Module):
    """x / 2 · (x + 2), whose second factor is kept within 0 to 2, elementwise: Mish by pieces."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x`, each number activated."""
        return 0.5 * x * (x + 2).clamp(0, 2)


_NAMED: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": partial(nn.LeakyReLU, NEGATIVE_SLOPE, inplace=True),
    "relu": partial(nn.ReLU, inplace=True),
    "relu6": partial(nn.ReLU6, inplace=True),
    "elu": partial(nn.ELU, inplace=True),
    "celu": partial(nn.CELU, inplace=True),
    "selu": partial(nn.SELU, inplace=True),
    "prelu": nn.PReLU,
    "gelu": nn.GELU,
    "gelu_tanh": partial(nn.GELU, approximate="tanh"),
    "quick_gelu": QuickGELU,
    "silu": partial(nn.SiLU, inplace=True),
    "mish": partial(nn.Mish, inplace=True),
    "hard_swish": partial(nn.Hardswish, inplace=True),
    "hard_mish": HardMish,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": partial(nn.Hardsigmoid, inplace=True),
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}
_ELEMENTWISE = {type(make()) for make in _NAMED.values()} - {nn.PReLU}


def activation(wanted: str | Callable[[], nn.Module]) -> nn.Module:
    """Returns a new activation: of one of `config.ACTIVATIONS`, or what the class or function makes.

    Raises:
        ValueError: it makes no module.
    """
    make = _NAMED[wanted] if isinstance(wanted, str) else wanted
    made: object = None
    with suppress(TypeError):
        made = make()
    if not isinstance(made, nn.Module):
        raise UserError(
            f"act_layer is {shown(wanted)}, which makes no module without arguments; allowed: a name, a module's class"
        )
    return made


def is_elementwise(module: nn.Module) -> bool:
    """Returns whether an activation is known to treat all numbers alike, whichever channel they are of."""
    return type(module) in _ELEMENTWISE
