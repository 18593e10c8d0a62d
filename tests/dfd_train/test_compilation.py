"""`train.compile`: the networks are one graph, and a compiled step is the step."""

import copy
from dataclasses import replace

import pytest
import torch
from small_learning import PLAIN, batch, small_network
from torch import nn

from dfd_train.data.spec import InputSpec
from dfd_train.engine.learner import Learner, Moment
from dfd_train.engine.processes import Processes
from dfd_train.errors import UserError
from dfd_train.models.build import Detector
from dfd_train.settings.config import LossConfig, RunConfig, TrainConfig
from reseption_models import create_model


@pytest.mark.parametrize("name", ["reseption_v1_tiny", "reseption_v2_tiny", "reseption_ensemble_tiny"])
def test_our_networks_are_one_graph_in_training(name):
    drops = {} if "ensemble" in name else {"drop_rate": 0.2, "drop_path_rate": 0.1}
    found = torch._dynamo.explain(create_model(name, **drops).train())(torch.rand(2, 3, 128, 128))
    assert (found.graph_count, found.graph_break_count) == (1, 0)


@pytest.mark.full
@pytest.mark.parametrize("sharpness", [0.0, 0.05])
def test_compiled_steps_are_the_steps(sharpness):
    run = RunConfig(optimizer=replace(PLAIN, name="radam", ema_decay=0.9, sharpness=sharpness))
    networks = [small_network(), small_network()]
    for network, how in zip(networks, ("off", "default"), strict=True):
        own = replace(run, train=TrainConfig(compile=how))
        subject = Learner(Detector(network, InputSpec(2)), own, torch.device("cpu"), Processes())
        before = copy.deepcopy(network.state_dict())
        for step, size in enumerate((6, 6, 4)):  # the last batch of an epoch is smaller
            images, labels = batch(step, size)
            subject.accumulate(images, labels, 1 / size, Moment(1, step, step), last=True)
            subject.step(0.1, Moment(1, step, step))
        assert network.state_dict().keys() == before.keys()  # checkpoints know nothing of it
        assert not torch.equal(network.state_dict()["1.weight"], before["1.weight"])
    for plain, compiled in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-6)


def test_both_passes_of_sharpness_are_compiled(monkeypatch):
    asked = []

    class Compiled(nn.Module):
        def __init__(self, network: nn.Module, how: str) -> None:
            super().__init__()
            self.network, self.how = network, how

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(self.how)
            return self.network(images)

    monkeypatch.setattr("dfd_train.engine.learner.compiled", Compiled)
    run = RunConfig(optimizer=replace(PLAIN, sharpness=0.05), train=TrainConfig(compile="default"))
    subject = Learner(Detector(small_network(), InputSpec(2)), run, torch.device("cpu"), Processes())
    subject.accumulate(*batch(0), 1 / 6, Moment(1, 0, 0), last=True)
    assert asked == ["default", "default"]


def test_a_loss_of_features_is_refused():
    network = create_model("reseption_v1_tiny")
    run = RunConfig(optimizer=PLAIN, train=TrainConfig(compile="default"), loss=LossConfig(alignment=0.5))
    with pytest.raises(
        UserError, match=r"^train.compile is default, and this loss looks at features; allowed"
    ):
        Learner(Detector(network, InputSpec(128)), run, torch.device("cpu"), Processes())


def test_without_a_compiler_it_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    run = RunConfig(optimizer=PLAIN, train=TrainConfig(compile="default"))
    with pytest.raises(
        UserError, match=r"^train.compile is default, which needs a C\+\+ compiler .*; allowed: off"
    ):
        Learner(Detector(small_network(), InputSpec(2)), run, torch.device("cpu"), Processes())
