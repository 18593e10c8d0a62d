"""Sharpness-aware minimisation (arXiv 2010.01412): a step's gradient is that of the worst weights nearby."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["climbed", "without_statistics"]


@contextmanager
def climbed(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor], radius: float) -> Iterator[None]:
    """Moves weights by `radius` along their gradients, all of them together, and afterwards back to what they were.

    Where the gradients have no finite length, as with a loss scale that is too large, the weights stay.
    """
    length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))).float())
    share = torch.where(length.isfinite() & (length > 0), radius / length, 0.0)
    before = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.add_(torch.nan_to_num(gradient * share, nan=0.0, posinf=0.0, neginf=0.0))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, kept in zip(parameters, before, strict=True):
                parameter.copy_(kept)


@contextmanager
def without_statistics(network: nn.Module) -> Iterator[None]:
    """Keeps batch norms' running means and variances as they are, whose weights are not the network's own now."""
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                stack.callback(setattr, module, "track_running_stats", True)
                module.track_running_stats = False
        yield
