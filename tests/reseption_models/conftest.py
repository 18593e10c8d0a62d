"""Networks with weights that depend on nothing but arithmetic, and the golden files made from them.

Run this file to write the golden files anew: python tests/reseption_models/conftest.py
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from reseption_models import create_model, list_models

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = [name for name in list_models() if not name.endswith("deep")]
FROZEN_KEYS = [name for name in GOLDEN_NAMES if not name.endswith("small")]

torch.set_num_threads(1)  # the networks of these tests are too small to share between cores


def noise(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def waves(*shape: int, phase: float) -> Tensor:
    """Numbers from −1 to 1 that need no random generator, the same on every machine."""
    steps = torch.arange(9973, dtype=torch.float64)  # a prime, so that the repetition meets no shape
    period = torch.sin(steps * 1.618 + (steps * 0.0137) ** 2 + phase).float()
    count = math.prod(shape)
    return period.repeat(-(-count // len(period)))[:count].reshape(shape)


def settle(model: nn.Module, images: Tensor) -> nn.Module:
    """Give each batch norm the statistics of these images, as training does, so that logits are of order 1."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        model(images)
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def perturb(model: nn.Module) -> nn.Module:
    """Change every parameter and statistic, so that two copies that agree do so for a reason."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.mul_(1 + 0.1 * torch.rand(value.shape, generator=generator))
                if not name.endswith("running_var"):
                    value.add_(0.01 * torch.randn(value.shape, generator=generator))
    return model


def arithmetic_model(name: str) -> nn.Module:
    """A named network without any randomness in its weights."""
    model = create_model(name)
    with torch.no_grad():
        for number, (key, parameter) in enumerate(model.named_parameters()):
            scale = (
                2 * math.sqrt(1 / sum(nn.init._calculate_fan_in_and_fan_out(parameter)))
                if parameter.ndim > 1
                else 0.1
            )
            offset = 1.0 if key.endswith("bn.weight") else 0.0
            parameter.copy_(waves(*parameter.shape, phase=number) * scale + offset)
    size = model.config.input_size
    return settle(model, waves(2, 3, size, size, phase=0.5))


@pytest.fixture(scope="session", name="noise")
def noise_fixture() -> Callable[..., Tensor]:
    return noise


@pytest.fixture(scope="session", name="settle")
def settle_fixture() -> Callable[[nn.Module, Tensor], nn.Module]:
    return settle


@pytest.fixture(name="perturb")
def perturb_fixture() -> Callable[[nn.Module], nn.Module]:
    return perturb


@pytest.fixture
def golden_case() -> Callable[[str], dict[str, object]]:
    return measure_golden


def measure_golden(name: str) -> dict[str, object]:
    """What the golden files hold of a network: keys and shapes of its state dict, and two logits."""
    model = arithmetic_model(name)
    size = model.config.input_size
    with torch.no_grad():
        logits = model(waves(2, 3, size, size, phase=1.0))
    state = {key: list(value.shape) for key, value in model.state_dict().items()}
    return {"state": state, "logits": logits.flatten().tolist()}


def write_golden() -> None:
    GOLDEN.mkdir(exist_ok=True)
    cases = {name: measure_golden(name) for name in GOLDEN_NAMES}
    logits = {name: case["logits"] for name, case in cases.items()}
    (GOLDEN / "logits.json").write_text(json.dumps(logits, indent=1) + "\n")
    for name in FROZEN_KEYS:
        state = cases[name]["state"]
        assert isinstance(state, dict)
        lines = [f"{key} {'×'.join(map(str, shape))}".rstrip() for key, shape in state.items()]
        (GOLDEN / f"{name}.state.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_golden()
