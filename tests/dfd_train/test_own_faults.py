"""A fault in code, ours or a user's, keeps its traceback and ends with 70; it is told from a user's mistake."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from dfd_train.cli import BUG, main
from dfd_train.models.build import build_detector
from dfd_train.optim.optimizers import make_optimizer
from dfd_train.optim.radam import RAdam
from dfd_train.settings.config import ModelConfig, OptimizerConfig

NETWORK = """
import torch
from torch import nn

class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        return self.linears(x.mean((2, 3)))

def in_forward():
    return Faulty()

def in_building(width=8):
    return nn.Linear("three", width)
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> Path:
    """A user's module, which can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "faulty_networks.py").write_text(NETWORK)
    (tmp_path / "faulty_import.py").write_text("width = widht\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("faulty_networks:in_forward", "AttributeError: 'Faulty' object has no attribute 'linears'"),
        ("faulty_networks:in_building", "TypeError: "),
        ("faulty_import:net", "NameError: name 'widht' is not defined"),
    ],
)
def test_a_fault_in_a_users_network_is_shown_with_its_traceback(
    module, name, fault, run_command, tmp_path, capsys
):
    command = [*run_command, "--model", name, "--out", str(tmp_path / "run")]
    assert main(command) == BUG
    error = capsys.readouterr().err
    assert "Traceback" in error and "faulty_" in error and fault in error
    assert not (tmp_path / "run").exists()


def test_a_fault_in_an_optimizer_is_not_its_arguments(monkeypatch):
    def step(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(RAdam, "step", step)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        make_optimizer(OptimizerConfig(name="radam"), [nn.Parameter(torch.ones(2))])
    # arguments that a person gave may be what is wrong: they are shown
    with pytest.raises(ValueError, match=r"^optimizer radam with .*betas=\(0\.9, 0\.99\): a fault$"):
        make_optimizer(
            OptimizerConfig(name="radam", arguments={"betas": (0.9, 0.99)}), [nn.Parameter(torch.ones(2))]
        )


def test_a_fault_in_timm_is_not_a_users_mistake(monkeypatch):
    def create(*_: object, **__: object) -> nn.Module:
        raise KeyError("a fault")

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(KeyError, match="a fault"):
        build_detector(ModelConfig(name="timm:resnet10t"))
