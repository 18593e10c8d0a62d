"""An equivalent network that runs faster: batch norm folded away, 1×1 convolutions at a block's entry merged."""

import copy
from collections.abc import Iterable
from typing import TypeGuard, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .activations import is_elementwise
from .blocks import BasicConv2d, Branches
from .errors import UserError

Model = TypeVar("Model", bound=nn.Module)


def fuse(model: Model) -> Model:
    """Returns a copy for inference, in evaluation mode, that computes the same function with fewer operations.

    The logits agree to 1e-4 in float32. The copy has other parameter names: save the network that you train, and
    fuse after loading. `model` stays as it is.

    Raises:
        ValueError: the model holds none of this package's blocks.
    """
    fused = copy.deepcopy(model).eval()
    convs = [module for module in fused.modules() if isinstance(module, BasicConv2d)]
    if not convs:
        raise UserError(f"this {type(model).__name__} holds no BasicConv2d with batch norm: nothing to fuse")
    for conv in convs:
        fold_batch_norm(conv)
    for module in list(fused.modules()):
        branches = getattr(module, "branches", None)
        if isinstance(branches, Branches) and any(map(_merges, branches.values())):
            module.register_module("branches", MergedBranches(branches.values()))
    return fused.requires_grad_(False)


def is_fused(model: nn.Module) -> bool:
    """Returns whether the model holds layers whose batch norm `fuse` folded."""
    return any(isinstance(part, BasicConv2d) and isinstance(part.bn, nn.Identity) for part in model.modules())


def fold_batch_norm(layer: BasicConv2d) -> None:
    """Moves the layer's batch norm, in evaluation mode, into its convolution's weight and a bias.

    Synchronised and frozen batch norm (torchvision's, detectron2's) are batch norm too. What is computed is computed in
    float32, whatever the weights' dtype: rounding the result once costs less than rounding each step.

    Raises:
        ValueError: another norm, or one without statistics.
    """
    conv, bn = layer.conv, layer.bn
    if isinstance(bn, nn.Identity):
        return
    parts = [getattr(bn, name, None) for name in ("running_mean", "running_var", "weight", "bias")]
    mean, var, scale, shift = (part.detach().float() if torch.is_tensor(part) else None for part in parts)
    eps = getattr(bn, "eps", None)
    if mean is None or var is None or not isinstance(eps, float):
        raise UserError(f"a {type(bn).__name__} can't be folded; allowed: batch norm with statistics")
    dtype = conv.weight.dtype
    bias = None if conv.bias is None else conv.bias.float()
    conv.weight, conv.bias = (
        nn.Parameter(part.to(dtype))
        for part in fuse_conv_bn_weights(conv.weight.float(), bias, mean, var, eps, scale, shift)
    )
    layer.bn = nn.Identity()


class MergedBranches(nn.Module):
    """What `Branches` computes, with one 1×1 convolution in the place of those that begin its branches.

    Takes branches whose batch norm is folded, one or more of which begin so.
    """

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        heads: list[BasicConv2d] = []
        self.positions: list[int] = []
        """For each branch, which part of the merged convolution it continues; −1 where it takes the input."""
        self.tails = nn.ModuleList()
        for branch in branches:
            if _merges(branch):
                self.positions.append(len(heads))
                heads.append(cast(BasicConv2d, branch[0]))
                self.tails.append(branch[1:])
            else:
                self.positions.append(-1)
                self.tails.append(branch)
        self.widths = [head.conv.out_channels for head in heads]
        self.entry = _merge(heads)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the branches' maps, joined along the channels in their old order."""
        heads = torch.split(self.entry(x), self.widths, 1)
        maps: list[Tensor] = []
        for number, tail in enumerate(self.tails):  # in the words that TorchScript knows
            position = self.positions[number]
            maps.append(tail(x if position < 0 else heads[position]))
        return torch.cat(maps, 1)


def _merges(branch: nn.Module) -> TypeGuard[nn.Sequential]:
    """Returns whether a branch begins with a 1×1 layer whose activation has no weights and mixes no channels."""
    if not isinstance(branch, nn.Sequential):
        return False
    first = branch[0]
    return isinstance(first, BasicConv2d) and first.conv.kernel_size == (1, 1) and is_elementwise(first.act)


def _merge(layers: list[BasicConv2d]) -> BasicConv2d:
    """Returns one layer with the outputs of several 1×1 layers side by side."""
    merged = copy.deepcopy(layers[0])
    convs = [layer.conv for layer in layers]
    merged.conv.weight = nn.Parameter(torch.cat([conv.weight for conv in convs]))
    merged.conv.bias = nn.Parameter(torch.cat([conv.bias for conv in convs if conv.bias is not None]))
    merged.conv.out_channels = sum(conv.out_channels for conv in convs)
    return merged
