"""Batch norm over the crops of several GPUs; the network stays the same function.

torch's own conversion replaces whatever derives from its batch norm, and so loses what such a class does besides:
timm's BatchNormAct2d its activation. Runs that were trained so are told apart by their checkpoint's `batch_norm`.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase

log = logging.getLogger(__name__)

OWN, SYNCHRONIZED = "own", "synchronized"
"""What a checkpoint says of the network that was trained: its batch norm as it is, or converted by `synchronize`."""


def synchronize(network: nn.Module) -> nn.Module:
    """Returns the network with its batch norm computed over all processes, in evaluation mode the same
    function as before.

    Batch norm with a computation of its own that nobody knows how to spread over processes stays as it is: each GPU
    normalises its own crops then, and that is said.
    """
    kept: Counter[str] = Counter()
    known: dict[nn.Module, nn.Module] = {}
    for module in [*network.modules()]:
        for name, child in [*module._modules.items()]:  # one that stands twice, too
            if isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
                if child not in known:
                    known[child] = _converted(child)
                setattr(module, name, known[child])
    for old, new in known.items():
        kept[type(old).__name__] += old is new
    for kind, count in sorted(kept.items()):
        if count:
            log.warning(
                "%d %s can't be computed over several GPUs: each normalises its own crops", count, kind
            )
    return network


def computes_more(network: nn.Module) -> bool:
    """Returns whether some batch norm of a network does more than torch's, so that torch's conversion would
    change it.
    """
    return any(isinstance(module, _BatchNorm) and not _is_plain(module) for module in network.modules())


def _converted(module: _BatchNorm) -> nn.Module:
    if _has_hooks(module) or isinstance(module, _LazyNormBase):
        return module
    if _is_plain(module):
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return converted
    return _of_timm(module)


def _is_plain(module: _BatchNorm) -> bool:
    """Returns whether it computes what torch's batch norm does and nothing else."""
    kind = type(module)
    called = kind.forward is _BatchNorm.forward and kind.__call__ is nn.Module.__call__
    return (isinstance(module, nn.SyncBatchNorm) and "timm" not in kind.__module__) or (
        called and not [*module.children()] and "forward" not in vars(module)
    )


def _of_timm(module: _BatchNorm) -> nn.Module:
    """Returns batch norm with timm's activation and dropout; any other as it is."""
    import timm.layers

    layers: Any = timm.layers  # whose names mypy takes for its own imports
    kind = layers.BatchNormAct2d
    if isinstance(module, kind) and type(module).forward is kind.forward:
        converted: nn.Module = layers.convert_sync_batchnorm(module)
        return converted
    return module


def _has_hooks(module: nn.Module) -> bool:
    """Returns whether a module has hooks or parametrisations, which would be lost with it."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return any(hooks) or torch.nn.utils.parametrize.is_parametrized(module)
