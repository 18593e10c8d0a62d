"""A network, batches and a learner small enough to compute a step by hand."""

import torch
from torch import nn

from dfd_train.data.spec import InputSpec
from dfd_train.engine.learner import Learner
from dfd_train.engine.processes import Processes
from dfd_train.models.build import Detector
from dfd_train.settings.config import LossConfig, OptimizerConfig, RunConfig

PLAIN = OptimizerConfig(name="sgd", lr=0.1, momentum=0.0, gradient_scaling=False)


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 1))


def batch(number: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    images = torch.randn(size, 3, 2, 2, generator=generator)
    return images, (torch.arange(size) % 2).float()


def learner(
    network: nn.Module,
    config: OptimizerConfig = PLAIN,
    loss: LossConfig | None = None,
    trust: tuple[str, ...] = (),
) -> Learner:
    run = RunConfig(optimizer=config, loss=loss or LossConfig())
    return Learner(Detector(network, InputSpec(2)), run, torch.device("cpu"), Processes(), trust)


def gradients(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    loss = nn.functional.binary_cross_entropy(torch.sigmoid(network(images).flatten()), labels)
    return list(torch.autograd.grad(loss, list(network.parameters())))
