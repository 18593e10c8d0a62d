"""A trained network as it scores: the same function in fewer operations, laid out as the processor wants it.

Training, checkpoints and exports have the network as it was trained. Whatever scores takes it from here, right after
loading: so all commands score alike.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from dfd_train.models.build import Detector


def for_inference(detector: Detector) -> Detector:
    """Returns the detector with logits that are equal to 1e-4: batch norm folded where it can be, channels last.

    Reseption networks, and what of an ensemble is one, are copied and fused. Networks of other families are only laid
    out, in place: their batch norm is written in too many ways.
    """
    return replace(detector, network=_fused(detector.network))


def _fused(network: nn.Module) -> nn.Module:
    from reseption_models import optimize
    from reseption_models.errors import UserError as NetworkError

    try:
        return optimize(network).network
    except NetworkError:  # none of its blocks
        return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
