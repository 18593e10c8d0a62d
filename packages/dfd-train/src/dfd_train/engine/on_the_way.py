"""Numbers that a GPU is still computing, fetched without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dfd_train.data.batches import Sample


@dataclass(frozen=True)
class OnTheWay:
    """A tensor on its way to the CPU; whoever reads it waits until it is there."""

    tensor: Tensor
    arrived: torch.cuda.Event | None = None

    def read(self) -> Tensor:
        """Returns the tensor on the CPU."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.tensor


@dataclass(frozen=True)
class LearnedBatch:
    """A batch that was learned, its number in the epoch, and its logits: this process's share."""

    batch: Sequence[Sample] = ()
    number: int = 0
    logits: OnTheWay = field(default_factory=lambda: OnTheWay(torch.empty(0)))


def fetch(tensor: Tensor) -> OnTheWay:
    """Returns a tensor as it is now; what is queued on a GPU afterwards is not waited for."""
    if tensor.device.type != "cuda":
        return OnTheWay(tensor.cpu())
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    copy.copy_(tensor, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(tensor.device))
    return OnTheWay(copy, arrived)
