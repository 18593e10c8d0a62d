"""Batch norm over several GPUs: the network stays the same function, whatever its family."""

import pytest
import torch
from torch import nn

from dfd_train.models.baselines import BASELINES
from dfd_train.models.batch_norm import synchronize
from dfd_train.models.build import build_detector
from dfd_train.runs.checkpoint import CheckpointFacts, load_model, save_checkpoint
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import ModelConfig, RunConfig


class WithActivation(nn.BatchNorm2d):
    """A batch norm of a user's that does more than one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


class ByAnotherName(nn.BatchNorm2d):
    """One that does nothing more."""


def perturbed(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def assert_same_function(network: nn.Module, size: int) -> None:
    image = torch.randn(1, 3, size, size)
    with torch.no_grad():
        before, names = network(image), list(network.state_dict())
        synchronize(network)
        assert torch.equal(network(image), before)
    assert list(network.state_dict()) == names


NAMES = [*sorted(BASELINES), "reseption_v1", "reseption_v2", "timm:densenet121", "timm:regnety_002"]


@pytest.mark.parametrize("name", NAMES)
def test_the_outputs_before_and_after_are_the_same(name):
    network = perturbed(build_detector(ModelConfig(name=name, input_size=96)).network)
    assert_same_function(network, 96)
    batch_norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert batch_norms and all(isinstance(module, nn.SyncBatchNorm) for module in batch_norms)


def test_what_cannot_be_converted_stays_and_is_said(caplog):
    shared = nn.BatchNorm2d(4)
    hooked = nn.BatchNorm2d(4)
    hooked.register_forward_hook(lambda *_: _[2] + 1.0)
    network = perturbed(
        nn.Sequential(nn.Conv2d(3, 4, 1), WithActivation(4), ByAnotherName(4), shared, hooked, shared)
    )
    assert_same_function(network, 8)
    kinds = [type(module) for module in network]
    assert kinds[1:] == [WithActivation, nn.SyncBatchNorm, nn.SyncBatchNorm, nn.BatchNorm2d, nn.SyncBatchNorm]
    assert network[3] is network[5]
    assert "1 WithActivation can't be computed over several GPUs" in caplog.text
    assert "1 BatchNorm2d can't be computed over several GPUs" in caplog.text


def test_frozen_parts_stay_still_after_their_batch_norm_was_replaced():
    detector = build_detector(ModelConfig(name="inception_v3", input_size=96, train_level="classifier"))
    synchronize(detector.network)
    detector.train()
    norms = [module for module in detector.network.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert norms and not any(norm.training for norm in norms) and detector.network.training


@pytest.mark.parametrize(
    ("device", "processes", "mark", "refused"),
    [
        ("NVIDIA", 2, False, True),
        ("NVIDIA", 2, True, False),
        ("NVIDIA", 1, False, False),
        ("cpu", 2, False, False),
    ],
)
def test_runs_that_lost_their_activations_are_told_apart(device, processes, mark, refused, tmp_path):
    folder = RunFolder(tmp_path / "run")
    model = ModelConfig(name="timm:efficientnet_b0", input_size=64)
    facts = CheckpointFacts(RunConfig(model=model), (), "f" * 64, True, 1)
    save_checkpoint(folder.best, facts, build_detector(model).network.state_dict())
    if not mark:
        content = torch.load(folder.best, weights_only=True)
        torch.save({key: value for key, value in content.items() if key != "batch_norm"}, folder.best)
    folder.write_config(facts.config)
    folder.write_json("environment.json", {"device": device})
    folder.add_event({"event": "start", "processes": processes})
    if refused:
        with pytest.raises(
            ValueError, match="was trained on several GPUs by a dfd-train that lost activations"
        ):
            load_model(folder.path)
    else:
        load_model(folder.path)
