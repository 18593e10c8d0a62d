"""The parts that the Reseption networks are made of; each is usable in other networks.

Every block is a set of branches side by side. A branch is a chain of `BasicConv2d`; its widths are given as a
tuple, one output width a convolution, in the order of the thesis's Figures 6.4 to 6.11.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .activations import NEGATIVE_SLOPE
from .config import Widths
from .errors import UserError

BATCH_NORM_EPS = 1e-3
XAVIER_GAIN = math.sqrt(2.0 / (1.0 + NEGATIVE_SLOPE**2))


class BasicConv2d(nn.Module):
    """Convolution without bias → batch norm → LeakyReLU(0.2).

    (N, in_channels, H, W) → (N, out_channels, H', W').
    `padding=None` keeps the size at stride 1 and is 0 ("valid") at any other stride. Thesis, Figure 6.1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        if padding is None:
            padding = (height // 2, width // 2) if stride == 1 else 0
        self.conv = nn.Conv2d(in_channels, out_channels, (height, width), stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS)
        self.act: nn.Module = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves, normalises and activates: (N, in_channels, H, W) → (N, out_channels, H', W')."""
        y: Tensor = self.act(self.bn(self.conv(x)))
        return y


class SplitConv2d(nn.Module):
    """[1×3 ‖ 3×1] on the same input, concatenated: (N, C, H, W) → (N, 2 · out_channels, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1x3 = BasicConv2d(in_channels, out_channels, (1, 3))
        self.conv3x1 = BasicConv2d(in_channels, out_channels, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns both activations, 1×3 first."""
        return torch.cat([self.conv1x3(x), self.conv3x1(x)], 1)


class Branches(nn.ModuleDict):
    """Named branches on the same input, concatenated along the channels in the order given."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the branches' maps, joined along the channels; all must have one height and width."""
        return torch.cat([branch(x) for branch in self.values()], 1)


class DropPath(nn.Module):
    """Stochastic depth: in training, leaves out a whole residual branch of some images and scales up the others'.

    (N, C, H, W) → the same shape. Huang et al. 2016, arXiv:1603.09382.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x`; in training, random images of the batch are 0 and the others are scaled up to make up for it."""
        if not self.training:
            return x
        kept = torch.empty((x.shape[0], 1, 1, 1), dtype=x.dtype, device=x.device).bernoulli_(1.0 - self.rate)
        return x * (kept / (1.0 - self.rate))

    def extra_repr(self) -> str:
        """Returns the rate, as it stands in the printed network."""
        return f"rate={self.rate:.3g}"


class ReseptionBlock(nn.Module):
    """Branches → concatenation (→ 1×1 map back to `width` with `remap`) → plus the input → LeakyReLU(0.2).

    The base of blocks A, B and C: (N, width, H, W) → (N, width, H, W). Without `remap` (V1) the branches must
    add up to `width`; otherwise ValueError.
    """

    def __init__(self, width: int, branches: Branches, branches_width: int, remap: bool) -> None:
        super().__init__()
        if not remap and branches_width != width:
            raise UserError(f"channels: the branches give {branches_width}, the block's width is {width}")
        self.branches = branches
        self.map: nn.Module = BasicConv2d(branches_width, width, 1) if remap else nn.Identity()
        self.drop_path: nn.Module = nn.Identity()
        self.act: nn.Module = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the branches to `x` and activates the sum: (N, width, H, W), as `x`."""
        y: Tensor = self.act(x + self.drop_path(self.map(self.branches(x))))
        return y


class ReseptionBlockA(ReseptionBlock):
    """Block A, made for a 35×35 grid: 1×1 ‖ 1×1 → 3×3 ‖ 1×1 → 3×3 → 3×3. Thesis, Figures 6.4 and 6.5."""

    def __init__(
        self,
        width: int = 192,
        widths: Sequence[Widths] = ((64,), (48, 64), (48, 64, 64)),
        remap: bool = False,
    ) -> None:
        one, three, double = widths
        branches = Branches(
            {
                "conv1x1": chain(width, one, [1]),
                "conv3x3": chain(width, three, [1, 3]),
                "conv3x3dbl": chain(width, double, [1, 3, 3]),
            }
        )
        super().__init__(width, branches, one[-1] + three[-1] + double[-1], remap)


class ReseptionBlockB(ReseptionBlock):
    """Block B, made for a 17×17 grid, with 7×7 convolutions in two factors. Thesis, Figures 6.6 and 6.7."""

    def __init__(
        self,
        width: int = 640,
        widths: Sequence[Widths] = ((256,), (192, 192, 192), (192, 192, 192, 192, 192)),
        remap: bool = False,
    ) -> None:
        one, seven, double = widths
        branches = Branches(
            {
                "conv1x1": chain(width, one, [1]),
                "conv7x7": chain(width, seven, [1, (1, 7), (7, 1)]),
                "conv7x7dbl": chain(width, double, [1, (7, 1), (1, 7), (7, 1), (1, 7)]),
            }
        )
        super().__init__(width, branches, one[-1] + seven[-1] + double[-1], remap)


class ReseptionBlockC(ReseptionBlock):
    """Block C, made for an 8×8 grid; two branches end in [1×3 ‖ 3×1], each of the last width given.

    Thesis, Figures 6.8 and 6.9.
    """

    def __init__(
        self,
        width: int = 1280,
        widths: Sequence[Widths] = ((640,), (256, 160), (256, 320, 160)),
        remap: bool = False,
    ) -> None:
        one, three, double = widths
        branches = Branches(
            {
                "conv1x1": chain(width, one, [1]),
                "conv3x3": chain(width, three[:-1], [1]).append(SplitConv2d(three[-2], three[-1])),
                "conv3x3dbl": chain(width, double[:-1], [1, 3]).append(SplitConv2d(double[-2], double[-1])),
            }
        )
        super().__init__(width, branches, one[-1] + 2 * three[-1] + 2 * double[-1], remap)


class ReductionA(nn.Module):
    """Halve the grid (35 → 17): 3×3 s2 ‖ 1×1 → 3×3 → 3×3 s2 ‖ max pool. Thesis, Figure 6.10.

    `(N, C, H, W) → (N, widths[0][-1] + widths[1][-1] + C, (H - 3) // 2 + 1, (W - 3) // 2 + 1)`.
    """

    def __init__(self, width: int = 192, widths: Sequence[Widths] = ((224,), (128, 128, 224))) -> None:
        super().__init__()
        three, double = widths
        self.branches = Branches(
            {
                "conv3x3": chain(width, three, [3], last_stride=2),
                "conv3x3dbl": chain(width, double, [1, 3, 3], last_stride=2),
                "pool": nn.MaxPool2d(3, stride=2),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the two convolved branches and the pooled input, joined along the channels."""
        y: Tensor = self.branches(x)
        return y


class ReductionB(nn.Module):
    """Halve the grid (17 → 8): 1×1 → 3×3 s2 ‖ 1×1 → 1×7 → 7×1 → 3×3 s2 ‖ max pool. Thesis, Figure 6.11.

    `(N, C, H, W) → (N, widths[0][-1] + widths[1][-1] + C, (H - 3) // 2 + 1, (W - 3) // 2 + 1)`.
    """

    def __init__(
        self, width: int = 640, widths: Sequence[Widths] = ((192, 320), (192, 192, 256, 320))
    ) -> None:
        super().__init__()
        three, seven = widths
        self.branches = Branches(
            {
                "conv3x3": chain(width, three, [1, 3], last_stride=2),
                "conv7x7x3": chain(width, seven, [1, (1, 7), (7, 1), 3], last_stride=2),
                "pool": nn.MaxPool2d(3, stride=2),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns the two convolved branches and the pooled input, joined along the channels."""
        y: Tensor = self.branches(x)
        return y


def chain(
    in_channels: int, widths: Widths, kernels: Sequence[int | tuple[int, int]], last_stride: int = 1
) -> nn.Sequential:
    """Returns `BasicConv2d` one after another, the last with `last_stride`; ValueError if lengths differ."""
    if len(widths) != len(kernels):
        raise UserError(f"convolutions: widths {widths} name {len(widths)}, this branch has {len(kernels)}")
    strides = [1] * (len(kernels) - 1) + [last_stride]
    layers = []
    for width, kernel, stride in zip(widths, kernels, strides, strict=True):
        layers.append(BasicConv2d(in_channels, width, kernel, stride))
        in_channels = width
    return nn.Sequential(*layers)


def initialize(module: nn.Module) -> None:
    """Draws every convolution and linear weight below `module` from Xavier normal with the LeakyReLU's gain.

    The gain is sqrt(2 / (1 + 0.2²)); linear biases become 0, batch norm weights 1 and biases 0.
    Thesis, 7.1.1. On the meta device there is nothing to draw, and torch would load its compiler for it.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and not part.weight.is_meta:
            nn.init.xavier_normal_(part.weight, gain=XAVIER_GAIN)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
