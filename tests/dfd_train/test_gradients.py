"""From a batch to a step: accumulation, scaling, clipping, averaging, precision, each against plain arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_learning import PLAIN, batch, gradients, learner, small_network
from torch import nn

from dfd_train.engine.gradient_flow import GradientFlow
from dfd_train.engine.learner import Moment


def test_a_step_is_plain_gradient_descent_on_binary_cross_entropy():
    network = small_network()
    images, labels = batch(0)
    expected = [
        p - 0.1 * g for p, g in zip(network.parameters(), gradients(network, images, labels), strict=True)
    ]
    subject = learner(network)
    logits = subject.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True).read()
    assert torch.allclose(logits, small_network()(images).flatten(), atol=1e-6)
    subject.step(0.1, Moment(1, 0, 0))
    for parameter, value in zip(network.parameters(), expected, strict=True):
        assert torch.allclose(parameter, value, atol=1e-6)


@pytest.mark.parametrize("scaling", [False, True])
def test_accumulated_batches_are_one_large_batch(scaling):
    config = replace(PLAIN, gradient_scaling=scaling)
    whole, parts = small_network(), small_network()
    images, labels = batch(1, 10)
    one, two = learner(whole, config), learner(parts, config)
    one.accumulate(images, labels, 1 / 10, Moment(1, 0, 0), last=True)
    one.step(0.1, Moment(1, 0, 0))
    two.accumulate(images[:6], labels[:6], 1 / 10, Moment(1, 0, 0), last=False)
    two.accumulate(images[6:], labels[6:], 1 / 10, Moment(1, 0, 0), last=True)
    two.step(0.1, Moment(1, 0, 0))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_dropout_differs_between_batches_and_repeats_with_the_place():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 1))
    network.train()
    images, labels = batch(0)

    def logits(*place: int) -> torch.Tensor:
        return learner(network).accumulate(images, labels, 0.0, Moment(*place), last=True).read()

    assert torch.equal(logits(1, 2, 3), logits(1, 2, 3))
    assert not torch.equal(logits(1, 2, 3), logits(1, 3, 3))  # the second batch of an accumulated step
    assert not torch.equal(logits(1, 2, 3), logits(2, 2, 3))


class _Faint(nn.Module):
    """The gradient of `inner` passes a factor under which fp32 has only zeros, then is brought back."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # forward: inner · 1e20 · 1e-25 · 1e-23; backward through the last two factors: 1e-48 underflows
        return x.mean((1, 2, 3), keepdim=True)[:, :, 0, 0] * 0 + self.inner * 1e20 * 1e-25 * 1e-23 + self.bias


def test_a_gradient_that_would_underflow_survives_scaling():
    """1e-48 is below the smallest float; times the scale of 2^16 it is not."""
    found = {}
    for scaling in (False, True):
        network = _Faint()
        subject = learner(network, replace(PLAIN, gradient_scaling=scaling))
        images, labels = batch(0)
        subject.accumulate(images, labels.fill_(1.0), 1 / 6, Moment(1, 0, 0), last=True)
        subject.scaler.unscale_(subject.optimizer)
        found[scaling] = float(network.inner.grad)
    assert found[False] == 0.0
    assert found[True] == pytest.approx(-0.5 * 1e-28, rel=0.01)


def test_the_loss_scale_backs_off_and_skips_the_step_when_gradients_overflow():
    network = small_network()
    subject = learner(network, replace(PLAIN, gradient_scaling=True))
    images, labels = batch(0)
    subject.accumulate(images, labels, 1e35, Moment(1, 0, 0), last=True)
    subject.step(0.1, Moment(1, 0, 0))
    assert subject.scaler.get_scale() == 2.0**15
    resumed = learner(small_network(), replace(PLAIN, gradient_scaling=True))
    resumed.load_state_dict(subject.state_dict())
    assert resumed.scaler.get_scale() == 2.0**15
    for a, b in zip(network.parameters(), small_network().parameters(), strict=True):
        assert torch.equal(a, b)


def test_clipping_bounds_the_unscaled_norm():
    images, labels = batch(2)
    network = small_network()
    norm = torch.cat([g.flatten() for g in gradients(network, images, labels)]).norm().item()
    for scaling in (False, True):
        clipped = small_network()
        subject = learner(clipped, replace(PLAIN, clip_norm=norm / 2, gradient_scaling=scaling))
        subject.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True)
        subject.step(1.0, Moment(1, 0, 0))
        moved = torch.cat(
            [(a - b).flatten() for a, b in zip(network.parameters(), clipped.parameters(), strict=True)]
        )
        assert moved.norm().item() == pytest.approx(norm / 2, rel=1e-3)


def test_the_moving_average_is_a_moving_average():
    network = small_network()
    subject = learner(network, replace(PLAIN, ema_decay=0.8))
    averaged = [p.detach().clone() for p in network.parameters()]
    for step in range(5):
        images, labels = batch(step)
        subject.accumulate(images, labels, 1 / 6, Moment(1, step, step), last=True)
        subject.step(0.5, Moment(1, step, step))
        now = [p.detach().clone() for p in network.parameters()]
        averaged = now if step == 0 else [0.8 * a + 0.2 * b for a, b in zip(averaged, now, strict=True)]
    for a, b in zip(subject.scored_network.parameters(), averaged, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert subject.scored_network is not network


def test_gradient_flow_of_a_large_weight_and_of_one_without_gradient():
    network = nn.Sequential(nn.Linear(2048, 1024), nn.Linear(1024, 1))
    torch.manual_seed(0)
    network[0].weight.grad = torch.rand(1024, 2048) - 0.5
    flow = GradientFlow(network)
    flow.record()
    event = flow.event(1)
    expected = network[0].weight.grad.double().abs()
    assert event["mean"] == pytest.approx([expected.mean().item(), 0.0], rel=1e-6)
    assert event["max"] == pytest.approx([expected.max().item(), 0.0], rel=1e-6)


def test_gradient_flow_records_means_and_maxima():
    network = small_network()
    flow = GradientFlow(network)
    expected = []
    for step in range(3):
        found = gradients(network, *batch(step))
        for parameter, gradient in zip(network.parameters(), found, strict=True):
            parameter.grad = gradient
        flow.record()
        expected.append([found[0].abs(), found[2].abs()])
    event = flow.event(7)
    assert (event["epoch"], event["layers"]) == (7, ["1", "3"])
    for layer in range(2):
        assert event["mean"][layer] == pytest.approx(
            np.mean([e[layer].mean().item() for e in expected]), rel=1e-5
        )
        assert event["max"][layer] == pytest.approx(max(e[layer].max().item() for e in expected), rel=1e-5)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, torch.inf)  # the loss scale was too large: no step
    flow.record()
    assert flow.event(7) == event
    flow.reset()
    assert flow.event(8)["max"] == [0.0, 0.0]


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_computes_in_it_and_stays_near(amp):
    class Seen(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result = super().forward(x)
            types.append(result.dtype)
            return result

    types: list[torch.dtype] = []
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), Seen(12, 1))
    images, labels = batch(0)
    reference = network[1](images.flatten(1)).flatten().detach()
    types.clear()
    subject = learner(network, replace(PLAIN, amp=amp))
    logits = subject.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True).read()
    assert types == [{"bf16": torch.bfloat16, "fp16": torch.float16}[amp]]
    assert logits.dtype == torch.float32 and torch.allclose(logits, reference, atol=0.05)
    assert network[1].weight.grad.dtype == torch.float32
    assert subject.scaler.is_enabled() == (amp == "fp16")
