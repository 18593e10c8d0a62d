"""Mean and maximum gradient of each layer over an epoch (thesis Fig. 7.1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class GradientFlow:
    """Mean and maximum absolute gradient of every weight over an epoch (thesis Fig. 7.1)."""

    def __init__(self, network: nn.Module) -> None:
        self._weights = [
            (name, parameter)
            for name, parameter in network.named_parameters()
            if parameter.requires_grad and name.endswith("weight")
        ]
        counts = [parameter.numel() for _, parameter in self._weights]
        self._counts = torch.tensor(counts, dtype=torch.float64)
        self.reset()

    def reset(self) -> None:
        """Forgets the last epoch's gradients, as a new one begins."""
        self._steps = 0
        self._mean = torch.zeros(len(self._weights), dtype=torch.float64)
        self._largest = torch.zeros(len(self._weights), dtype=torch.float64)

    def record(self) -> None:
        """Takes in the gradients of one step; a step whose loss scale was too large is none."""
        gradients = [
            parameter.new_zeros(1) if parameter.grad is None else parameter.grad
            for _, parameter in self._weights
        ]
        # float32 sums of a million numbers lose digits on a CPU
        sums = torch._foreach_norm(gradients, 1, dtype=torch.float64)
        maxima = torch._foreach_norm(gradients, torch.inf, dtype=torch.float64)
        # a GPU is waited for once a step
        totals, largest = torch.stack([torch.stack(sums), torch.stack(maxima)]).cpu()
        means = totals / self._counts
        if torch.isfinite(largest).all():
            self._steps += 1
            self._mean += means
            self._largest = torch.maximum(self._largest, largest)

    def event(self, epoch: int) -> dict[str, Any]:
        """Returns the epoch's record for events.jsonl, layers in the network's order."""
        return {
            "event": "gradient_flow",
            "epoch": epoch,
            "layers": [name.removesuffix(".weight") for name, _ in self._weights],
            "mean": (self._mean / max(1, self._steps)).tolist(),
            "max": self._largest.tolist(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns what `load_state_dict` needs to go on within an epoch."""
        return {"steps": self._steps, "mean": self._mean, "max": self._largest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._steps, self._mean, self._largest = state["steps"], state["mean"], state["max"]
