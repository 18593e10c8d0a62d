"""Networks small enough for tests, named as `tiny_networks:FUNCTION` like any network of a user's."""

import os
import signal
import time

import torch
from torch import Tensor, nn


class _Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def with_batch_norm(width: int = 8, drop_rate: float = 0.2) -> nn.Module:
    """Batch norm and dropout: everything that a resumed run could get wrong."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, bias=False),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 3, stride=2),
        nn.LeakyReLU(0.2),
        _Flat(),
        nn.Dropout(drop_rate),
        nn.Linear(2 * width, 1),
    )


def without_batch_norm(width: int = 8) -> nn.Module:
    """Nothing that depends on how a batch is divided over processes."""
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.LeakyReLU(0.2), _Flat(), nn.Linear(width, 1))


class _Mortal(nn.Module):
    """The process ends by SIGKILL before the training pass that the environment names, counted from 1.

    Before a scoring pass it gets a signal, such as `SIGINT 5`. A pass takes as long as the environment says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passes, self.scorings = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += self.training
        if self.training and str(self.passes) == os.environ.get("DIE_BEFORE_PASS"):
            os.kill(os.getpid(), signal.SIGKILL)
        # whoever builds it tries it out, with no image at all or a black one
        if not self.training and x.device.type != "meta" and x.any():
            self.scorings += 1
            name, _, scoring = os.environ.get("SIGNAL_BEFORE_SCORING", "").partition(" ")
            if str(self.scorings) == scoring:
                os.kill(os.getpid(), signal.Signals[name])
        time.sleep(float(os.environ.get("SECONDS_A_PASS", "0")))
        return x


def mortal() -> nn.Module:
    """`with_batch_norm`, killed where the environment says so."""
    return nn.Sequential(_Mortal(), with_batch_norm())


class _LookingAtNumbers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits if float(x.amax()) < 9.0 else -logits


def looking_at_numbers() -> nn.Module:
    """Its shapes can't be computed without its numbers."""
    return _LookingAtNumbers()


def two_logits() -> nn.Module:
    return nn.Sequential(_Flat(), nn.Linear(3, 2))


class _NotANumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 1), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits * torch.tensor(float("nan")) if self.calls > 2 else logits


def not_a_number_in_the_third_batch() -> nn.Module:
    return _NotANumber()


class _NotANumberOutside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits if self.training else logits * torch.tensor(float("nan"))


def not_a_number_in_validation() -> nn.Module:
    # not under test: whoever builds it looks at one output, in evaluation mode
    return _NotANumberOutside()


class _OverflowingGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.steps = nn.Linear(3, 1), 0
        self.linear.weight.register_hook(self._overflow)

    def _overflow(self, gradient: Tensor) -> Tensor:
        self.steps += 1
        return gradient * float("inf") if self.steps == 2 else gradient

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def overflowing_in_the_second_step() -> nn.Module:
    """Every loss of that step is finite, the weights after it are not."""
    return _OverflowingGradient()


class _OtherOutside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits + 1.0 if torch.compiler.is_exporting() else logits


def other_when_exported() -> nn.Module:
    """A network whose export is not what was trained."""
    return _OtherOutside()
