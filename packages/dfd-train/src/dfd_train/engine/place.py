"""Where a run stands: all that a checkpoint holds besides the learner and the schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch


@dataclass
class Place:
    """Where a run stands."""

    epoch: int = 1
    batches_done: int = 0
    steps: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    """training time of the current epoch so far"""
    logits: list[float] = field(default_factory=list)
    """of the current epoch so far, in the order of its plan"""

    def __str__(self) -> str:
        return f"epoch {self.epoch}, batch {self.batches_done}"

    def next_epoch(self) -> None:
        """Goes to the beginning of the next epoch."""
        self.epoch, self.batches_done, self.seconds, self.logits = self.epoch + 1, 0, 0.0, []

    def state_dict(self) -> dict[str, Any]:
        """Returns what `from_state` needs to make this place again."""
        place = asdict(self)
        logits = torch.tensor(place.pop("logits"), dtype=torch.float32)
        return {"place": place, "logits": logits}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Returns the place that `state_dict` wrote down."""
        return cls(**state["place"], logits=state["logits"].tolist())
