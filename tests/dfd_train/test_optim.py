"""Optimizers by name, RAdam against two other programs, and gradient noise."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch_optimizer
from small_learning import PLAIN, batch, gradients, learner, small_network
from torch import nn

from dfd_train.engine.learner import Moment
from dfd_train.optim.optimizers import UNFIT, add_gradient_noise, make_optimizer
from dfd_train.optim.sharpness import climbed
from dfd_train.settings.config import OptimizerConfig, build_config


def test_radam_is_torch_radam_while_the_rate_changes():
    """Step sizes follow the schedule, those of a weight that had no gradient at first too."""
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


@pytest.mark.parametrize("scaling", [False, True])
def test_sharpness_takes_the_gradient_at_the_worst_place_nearby(scaling: bool):
    """Against a step by hand: up the gradient by 0.5, its gradient there, from where the weights were."""
    config = replace(PLAIN, sharpness=0.5, gradient_scaling=scaling)
    network, other = small_network(), small_network()
    images, labels = batch(1)
    own = learner(network, config)
    before = [one.detach().clone() for one in other.parameters()]
    with torch.no_grad():
        plain = other(images).flatten()
    up = gradients(other, images, labels)
    length = torch.sqrt(sum((one**2).sum() for one in up))
    with torch.no_grad():
        for one, gradient in zip(other.parameters(), up, strict=True):
            one.add_(gradient * 0.5 / length)
    worst = gradients(other, images, labels)
    logits = own.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True).read()
    assert torch.equal(logits, plain), "the numbers of the epoch are the weights' own"
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))
    own.step(0.1, Moment(1, 0, 0))
    for one, old, gradient in zip(network.parameters(), before, worst, strict=True):
        assert torch.allclose(one, old - 0.1 * gradient, atol=1e-6)


def test_sharpness_leaves_batch_norms_statistics_and_dropout_to_the_first_pass():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 1))
    plain = copy.deepcopy(network)
    images, labels = batch(2)
    logits = [
        learner(one, replace(PLAIN, sharpness=rho)).accumulate(
            images, labels, 1 / 6, Moment(1, 0, 0), last=True
        )
        for one, rho in ((network, 0.5), (plain, 0.0))
    ]
    assert torch.equal(*(one.read() for one in logits))
    assert torch.equal(network[1].running_mean, plain[1].running_mean)
    assert network[1].track_running_stats and network[1].num_batches_tracked == 1


def test_sharpness_stays_where_a_gradient_has_no_length():
    weight = nn.Parameter(torch.ones(3))
    for gradient in (torch.zeros(3), torch.tensor([1.0, torch.inf, 0.0])):
        with climbed([weight], [gradient], 0.5):
            assert torch.equal(weight, torch.ones(3))
