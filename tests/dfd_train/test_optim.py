"""Optimisers by name, gradient noise, scaling, clipping, accumulation and averaging, each against plain arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dfd_train.config import OptimizerConfig, build_config
from dfd_train.data.transforms import InputSpec
from dfd_train.engine.gradients import GradientFlow, Learner, Moment
from dfd_train.engine.processes import Processes
from dfd_train.models import Detector
from dfd_train.optim import UNFIT, add_gradient_noise, make_optimizer

PLAIN = OptimizerConfig(name="sgd", lr=0.1, momentum=0.0, gradient_scaling=False)


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 1))


def batch(number: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    images = torch.randn(size, 3, 2, 2, generator=generator)
    return images, (torch.arange(size) % 2).float()


def learner(network: nn.Module, config: OptimizerConfig = PLAIN) -> Learner:
    return Learner(Detector(network, InputSpec(2)), config, torch.device("cpu"), Processes(), seed=0)


def gradients(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    loss = nn.functional.binary_cross_entropy(torch.sigmoid(network(images).flatten()), labels)
    return list(torch.autograd.grad(loss, list(network.parameters())))


def test_radam_is_torch_radam_while_the_rate_changes():
    """Step sizes follow the schedule, those of a weight that had no gradient at first too."""
    import torch_optimizer

    networks = [small_network(), small_network()]
    ours = make_optimizer(OptimizerConfig(), networks[0].parameters())
    assert isinstance(ours, torch_optimizer.RAdam) and len(ours.param_groups) == 1
    theirs = torch.optim.RAdam(networks[1].parameters(), lr=1e-3)
    for step in range(60):
        images, labels = batch(step)
        for network, optimizer in zip(networks, (ours, theirs), strict=True):
            optimizer.param_groups[0]["lr"] = 1e-2 * 0.9**step
            both = zip(network.parameters(), gradients(network, images, labels), strict=True)
            for number, (parameter, gradient) in enumerate(both):
                parameter.grad = None if number == 1 and step < 3 else gradient
            optimizer.step()
        for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-7), step
    start = small_network()
    assert not torch.allclose(next(start.parameters()), next(networks[0].parameters()), atol=1e-3)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_radam_is_that_of_torch_optimizer_bit_for_bit(weight_decay):
    """Also where a run that began with one goes on with the other."""
    import torch_optimizer

    networks = [small_network(), small_network()]
    ours = make_optimizer(OptimizerConfig(weight_decay=weight_decay), networks[0].parameters())
    theirs = torch_optimizer.RAdam(networks[1].parameters(), weight_decay=weight_decay)
    for step in range(40):
        images, labels = batch(step)
        for network, optimizer in zip(networks, (ours, theirs), strict=True):
            optimizer.param_groups[0]["lr"] = 1e-2 * 0.9**step
            for parameter, gradient in zip(
                network.parameters(), gradients(network, images, labels), strict=True
            ):
                parameter.grad = gradient
            optimizer.step()
        for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
            assert torch.equal(a, b), step
        if step == 20:
            states = ours.state_dict(), theirs.state_dict()
            ours.load_state_dict(states[1])
            theirs.load_state_dict(states[0])


def test_radam_leaves_other_types_to_torch_optimizer():
    import torch_optimizer

    networks = [small_network().bfloat16(), small_network().bfloat16()]
    ours = make_optimizer(OptimizerConfig(), networks[0].parameters())
    theirs = torch_optimizer.RAdam(networks[1].parameters())
    for _ in range(10):
        for network, optimizer in zip(networks, (ours, theirs), strict=True):
            for parameter in network.parameters():
                parameter.grad = torch.full_like(parameter, 1e-3)
            optimizer.step()
    assert ours.state[networks[0][1].weight]["exp_avg"].dtype == torch.float32
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_sgd_has_momentum_and_any_other_optimizer_goes_by_name():
    parameters = list(small_network().parameters())
    sgd = make_optimizer(OptimizerConfig(name="SGD", lr=0.01), parameters)
    assert sgd.defaults["momentum"] == 0.9 and sgd.defaults["lr"] == 0.01
    adamw = make_optimizer(
        OptimizerConfig(name="adamw", weight_decay=0.1, arguments={"eps": 1e-6}), parameters
    )
    assert isinstance(adamw, torch.optim.AdamW) and adamw.defaults["eps"] == 1e-6
    assert adamw.defaults["weight_decay"] == 0.1
    assert type(make_optimizer(OptimizerConfig(name="diffgrad"), parameters)).__name__ == "DiffGrad"
    with pytest.raises(ValueError, match=r"unknown optimizer 'addam'; did you mean Adam\? Allowed: .*AdamW"):
        make_optimizer(OptimizerConfig(name="addam"), parameters)
    for name, reason in UNFIT.items():
        with pytest.raises(ValueError, match=f"optimizer {name} cannot train here: {reason}"):
            make_optimizer(OptimizerConfig(name=name.lower()), parameters)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sgd", {"beta": 1}, "takes no argument beta; allowed: lr, momentum"),
        ("sgd", {"nesterov": True, "momentum": 0.0}, "Nesterov momentum requires a momentum"),
        (
            "adamw",
            {"eps": "abc"},
            "optimizer adamw with lr=0.001, weight_decay=0.0, eps='abc': '<=' not supp",
        ),
        ("adamw", {"betas": 0.9}, "betas=0.9: 'float' object is not subscriptable"),
        ("adamw", {"betas": (0.9,)}, "out of range"),
        ("yogi", {"betas": (0.9, 0.99, 0.999)}, "too many values"),  # which it says in its first step
        ("sgd", {"dampening": "abc"}, "unsupported operand"),  # in its second
    ],
)
def test_arguments_that_an_optimizer_cannot_use(name, arguments, message):
    with pytest.raises(ValueError) as caught:
        make_optimizer(OptimizerConfig(name=name, arguments=arguments), small_network().parameters())
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_arguments_may_be_lists():
    settings = [("optimizer.name", "adamw"), ("optimizer.arguments.betas", "[0.8, 0.9]")]
    optimizer = make_optimizer(build_config({}, settings).optimizer, small_network().parameters())
    assert optimizer.defaults["betas"] == (0.8, 0.9)


def test_a_step_is_plain_gradient_descent_on_binary_cross_entropy():
    network = small_network()
    images, labels = batch(0)
    expected = [
        p - 0.1 * g for p, g in zip(network.parameters(), gradients(network, images, labels), strict=True)
    ]
    subject = learner(network)
    logits = subject.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True)
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
        return learner(network).accumulate(images, labels, 0.0, Moment(*place), last=True)

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


@pytest.mark.parametrize(("eta", "gamma", "t"), [(0.01, 0.55, 0), (0.3, 0.55, 9), (1.0, 1.0, 99)])
def test_gradient_noise_has_the_variance_of_the_formula(eta, gamma, t):
    parameter = nn.Parameter(torch.zeros(200_000))
    parameter.grad = torch.full((200_000,), 3.0)
    add_gradient_noise([parameter], eta=eta, gamma=gamma, t=t, seed=0, step=5)
    noise = parameter.grad.numpy() - 3.0
    variance = eta / (1 + t) ** gamma
    assert np.var(noise) == pytest.approx(variance, rel=0.02)
    assert np.mean(noise) == pytest.approx(0, abs=4 * (variance / 200_000) ** 0.5)
    beyond = np.mean(np.abs(noise) > 2 * variance**0.5)
    assert beyond == pytest.approx(0.0455, abs=0.003)  # of a normal distribution


def test_gradient_noise_is_a_function_of_seed_and_step():
    def draw(seed: int, step: int) -> torch.Tensor:
        parameter = nn.Parameter(torch.zeros(8))
        parameter.grad = torch.zeros(8)
        add_gradient_noise([parameter], eta=1.0, gamma=0.55, t=0, seed=seed, step=step)
        return parameter.grad

    assert torch.equal(draw(1, 2), draw(1, 2))
    assert not torch.equal(draw(1, 2), draw(1, 3)) and not torch.equal(draw(1, 2), draw(2, 2))


@pytest.mark.parametrize(("by", "t"), [("epoch", 2), ("step", 40)])
def test_gradient_noise_decays_by_epoch_or_by_step(by, t):
    config = replace(PLAIN, noise_eta=0.5, noise_by=by)
    noisy, plain = small_network(), small_network()
    images, labels = batch(0)
    for network, settings in ((noisy, config), (plain, PLAIN)):
        subject = learner(network, settings)
        subject.accumulate(images, labels, 1 / 6, Moment(3, 0, 40), last=True)
        subject.step(1.0, Moment(3, 0, 40))
    by_hand = small_network()
    for parameter in by_hand.parameters():
        parameter.grad = torch.zeros_like(parameter)
    add_gradient_noise(by_hand.parameters(), eta=0.5, gamma=0.55, t=t, seed=0, step=40)
    for a, b, c in zip(noisy.parameters(), plain.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(b - a, c.grad, atol=1e-6)


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
    logits = subject.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True)
    assert types == [{"bf16": torch.bfloat16, "fp16": torch.float16}[amp]]
    assert logits.dtype == torch.float32 and torch.allclose(logits, reference, atol=0.05)
    assert network[1].weight.grad.dtype == torch.float32
    assert subject.scaler.is_enabled() == (amp == "fp16")
