"""The learning rate: `lr0 * curve(epochs done) * plateau factor^reductions * warm-up`, as one product.

Naively chained schedulers overwrite each other's rate; here the rate is computed afresh from its factors before every
step, so the product of thesis section 7.1.5 holds exactly: `lr0 * 0.94^floor(done / 2) * 0.5^reductions`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dfd_train.settings.config import ScheduleConfig


class LearningRate:
    """The rate at any point of a run; its state is what the plateau has seen."""

    def __init__(self, config: ScheduleConfig, lr: float, total_epochs: int) -> None:
        self._config, self._lr, self._total_epochs = config, lr, total_epochs
        # torch's own plateau logic, on a stand-in whose rate is factor^reductions
        self._gauge = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        self._plateau = ReduceLROnPlateau(
            self._gauge, factor=config.plateau_factor, patience=config.plateau_patience, eps=0.0
        )

    def at(self, epochs_done: float) -> float:
        """Returns the learning rate after so many epochs, fractions counting for cosine, linear and warm-up."""
        rate = self._lr * self._curve(epochs_done) * float(self._gauge.param_groups[0]["lr"])
        warmup = self._config.warmup_epochs
        # the first step already learns: the ramp ends at 1 with the warm-up, and starts above 0
        return rate * min(1.0, (epochs_done + 0.01) / warmup) if warmup else rate

    def observe(self, train_loss: float) -> None:
        """Tells the plateau an epoch's training loss."""
        if self._config.plateau:
            self._plateau.step(train_loss)

    def state_dict(self) -> dict[str, Any]:
        """Returns what `load_state_dict` needs to go on."""
        return {"plateau": self._plateau.state_dict(), "factor": self._gauge.param_groups[0]["lr"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._plateau.load_state_dict(state["plateau"])
        self._gauge.param_groups[0]["lr"] = state["factor"]

    def _curve(self, epochs_done: float) -> float:
        if self._config.curve == "exponential":
            return self._config.decay ** (math.floor(epochs_done) // self._config.decay_every)
        if self._config.curve == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * epochs_done / self._total_epochs))
        if self._config.curve == "linear":
            left = 1.0 - epochs_done / self._total_epochs
            return max(0.0, min(1.0, left / (1.0 - self._config.linear_from)))
        return 1.0
