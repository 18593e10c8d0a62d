"""torch-optimizer's RAdam with all weights at once: the same numbers and the same state in fewer, larger operations."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

import torch
import torch_optimizer
from torch import Tensor


class RAdam(torch_optimizer.RAdam):
    """RAdam (Liu et al. 2020, arXiv 1908.03265) of float32 weights, bit for bit torch-optimizer's on a CPU.

    But for a weight that had no gradient in some steps: there, theirs takes the rate of a step before. Other types than
    float32 are left to it.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Takes one step of every weight that has a gradient; returns what `closure` does."""
        if any(weight.dtype != torch.float32 for group in self.param_groups for weight in group["params"]):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights_at: dict[int, list[Tensor]] = defaultdict(list)  # those without a gradient fall behind
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    if not state:
                        state.update(
                            step=0, exp_avg=torch.zeros_like(weight), exp_avg_sq=torch.zeros_like(weight)
                        )
                    state["step"] += 1
                    weights_at[state["step"]].append(weight)
            for step, weights in weights_at.items():
                self._update(weights, step, group["lr"], group["betas"], group["eps"], group["weight_decay"])
        return loss

    def _update(
        self,
        weights: list[Tensor],
        step: int,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        averages = [self.state[weight]["exp_avg"] for weight in weights]
        squares = [self.state[weight]["exp_avg_sq"] for weight in weights]
        torch._foreach_mul_(squares, betas[1])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - betas[1])
        torch._foreach_mul_(averages, betas[0])
        torch._foreach_add_(averages, gradients, alpha=1 - betas[0])
        if weight_decay:
            torch._foreach_add_(weights, weights, alpha=-weight_decay * lr)
        rectification = _rectification(step, betas[1])
        correction = 1 - betas[0] ** step
        if rectification is None:
            torch._foreach_add_(weights, averages, alpha=-(lr / correction))
        else:
            deviations = torch._foreach_sqrt(squares)
            torch._foreach_add_(deviations, eps)
            torch._foreach_addcdiv_(weights, averages, deviations, value=-(lr * rectification / correction))


def _rectification(step: int, beta2: float) -> float | None:
    """Returns how far the variance of the first steps is trusted; None where it isn't at all (fewer than five
    samples).
    """
    longest = 2 / (1 - beta2) - 1
    decay = beta2**step
    length = longest - 2 * step * decay / (1 - decay)
    if length < 5:
        return None
    return math.sqrt(
        (1 - decay) * (length - 4) / (longest - 4) * (length - 2) / length * longest / (longest - 2)
    )
