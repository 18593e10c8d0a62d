"""Losses against their closed forms, and their terms over features against independent code."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_learning import PLAIN, batch, learner, small_network
from torch import nn

from dfd_train.engine.learner import Moment
from dfd_train.engine.losses import Loss, alignment, contrastive, uniformity
from dfd_train.errors import TrainingError, UserError
from dfd_train.settings.config import LossConfig, build_config

LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])


class Told(nn.Module):
    """A network with a classifier that tells where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), nn.Linear(4, 1)

    def get_classifier(self) -> nn.Module:
        return self.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images))


def directions() -> torch.Tensor:
    return nn.functional.normalize(torch.randn(5, 3, dtype=torch.float64))


def test_the_plain_loss_is_the_log_loss() -> None:
    logits = torch.tensor([2.0, -1.0, 0.0, 3.0, -40.0])
    found = Loss(LossConfig(), nn.Identity(), "it")(logits, LABELS)
    right = torch.where(LABELS > 0, torch.sigmoid(logits), torch.sigmoid(-logits))
    assert torch.allclose(found, -right.log(), rtol=1e-5)


def test_smoothing_and_focal() -> None:
    logits = torch.tensor([2.0, -1.0, 0.0, 3.0, -4.0])
    p = torch.sigmoid(logits)
    smooth = Loss(LossConfig(smoothing=0.2), nn.Identity(), "it")(logits, LABELS)
    targets = 0.8 * LABELS + 0.1
    assert torch.allclose(smooth, -(targets * p.log() + (1 - targets) * (1 - p).log()), rtol=1e-4)
    focal = Loss(LossConfig(name="focal", focal_gamma=2.0), nn.Identity(), "it")(logits, LABELS)
    right = torch.where(LABELS > 0, p, 1 - p)
    assert torch.allclose(focal, -((1 - right) ** 2) * right.log(), rtol=1e-4)


def test_alignment_and_uniformity_over_pairs() -> None:
    x = directions()
    pairs = [(i, j) for i in range(5) for j in range(i)]
    squares = {pair: float(((x[pair[0]] - x[pair[1]]) ** 2).sum()) for pair in pairs}
    alike = [squares[i, j] for i, j in pairs if LABELS[i] == LABELS[j]]
    assert float(alignment(x, LABELS)) == pytest.approx(np.mean(alike))
    assert float(uniformity(x)) == pytest.approx(
        np.log(np.mean(np.exp(-2 * np.array(list(squares.values())))))
    )


def test_the_contrastive_loss_over_others() -> None:
    x, found = directions(), []
    for i in range(5):
        others = [j for j in range(5) if j != i]
        total = sum(np.exp(float(x[i] @ x[j]) / 0.1) for j in others)
        alike = [j for j in others if LABELS[j] == LABELS[i]]
        found.append(-np.mean([float(x[i] @ x[j]) / 0.1 - np.log(total) for j in alike]))
    assert contrastive(x, LABELS, 0.1).tolist() == pytest.approx(found)


def test_a_batch_in_which_nothing_is_alike() -> None:
    x, labels = directions()[:2], torch.tensor([1.0, 0.0])
    assert float(alignment(x, labels)) == 0
    assert contrastive(x, labels, 0.1).tolist() == [0, 0]


def test_terms_reach_the_body_through_its_features() -> None:
    torch.manual_seed(0)
    images, labels = batch(0)
    moved = {}
    for name, config in (("plain", LossConfig()), ("spread", LossConfig(alignment=0.1, uniformity=0.5))):
        torch.manual_seed(1)
        network = Told()
        subject = learner(network, replace(PLAIN, ema_decay=0.5), config)
        subject.accumulate(images, labels, 1 / len(images), Moment(1, 0, 0), last=True)
        moved[name] = network.body[1].weight.grad.clone()
        again = nn.functional.normalize(network.body(images))
        loss = nn.functional.binary_cross_entropy_with_logits(network(images).flatten(), labels)
        loss = loss + config.alignment * alignment(again, labels) + config.uniformity * uniformity(again)
        (expected,) = torch.autograd.grad(loss, network.body[1].weight)
        assert torch.allclose(moved[name], expected, atol=1e-6)
        with torch.no_grad():  # validation leaves nothing behind in the copy that averages
            subject.average(images)
    assert not torch.allclose(moved["plain"], moved["spread"])


def test_a_network_that_does_not_tell_its_features() -> None:
    with pytest.raises(UserError, match="a loss can't see its features"):
        learner(small_network(), loss=LossConfig(contrastive=1.0))


def test_a_function_of_the_users(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_losses.py").write_text(
        "def squared(logits, labels, features):\n"
        "    assert features.shape == (len(logits), 4)\n"
        "    return (logits.sigmoid() - labels) ** 2\n"
        "def total(logits, labels, features):\n    return squared(logits, labels, features).sum()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    images, labels = batch(0)
    name = "my_losses:squared"
    with pytest.raises(UserError, match="--trust my_losses:squared"):
        learner(Told(), loss=LossConfig(name=name))
    assert "my_losses" not in sys.modules
    network = Told()
    learner(network, loss=LossConfig(name=name), trust=(name,)).accumulate(
        images, labels, 1 / len(images), Moment(1, 0, 0), last=True
    )
    loss = ((network(images).flatten().sigmoid() - labels) ** 2).mean()
    (expected,) = torch.autograd.grad(loss, network.head.weight)
    assert torch.allclose(network.head.weight.grad, expected, atol=1e-6)
    wrong = learner(Told(), loss=LossConfig(name="my_losses:total"), trust=("my_losses:total",))
    with pytest.raises(TrainingError, match=r"loss my_losses:total returned \(\), must be \(6,\)"):
        wrong.accumulate(images, labels, 1 / 6, Moment(1, 0, 0), last=True)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.name=hinge: must be bce, focal or package\.module:function"):
        build_config({"loss": {"name": "hinge"}})
